// A dense layer of quantized rows (quantize_rows) with packed int8 weights for up to four rows of x at a time, exact in
// int32: for adapters that run on a CPU, where a load costs as much as several multiply-adds. Each lane owns four rows of the
// weights, which lie side by side and come in one load; the words of x are loaded four at a time and broadcast.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded4;
import package::common::int8::bytes4;

enable subgroups;

const SUBGROUP: u32 = 8;
// Rows of x, 1 to 4.
const COLUMNS: u32 = 1;
override WG: u32 = 8;

struct Args {
  m: u32, n: u32, words: u32, x_row: u32, // rows of the weights; rows of x; words of k; words of a row of x
  quads: u32, // fours of rows as laid out
  scales: u32, sums: u32, // fours of words before the scales and the sums of the rows in the weights
  zero: i32, x_scale: f32, // the code of zero, and the step, of x
  row_groups: u32,
  bias: u32, residual: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// Four rows, times the bytes of one word of x.
fn madd(acc: vec4i, w: vec4u, x: vec4i) -> vec4i {
  let i = bitcast<vec4i>(w);
  let a = (i << vec4u(24)) >> vec4u(24);
  let b = (i << vec4u(16)) >> vec4u(24);
  let c = (i << vec4u(8)) >> vec4u(24);
  return acc + x.x * a + x.y * b + x.z * c + x.w * (i >> vec4u(24));
}

fn load_x(column: u32, word: u32) -> vec4i {
  return bytes4(x[min(column, args.n - 1) * args.x_row + min(word, args.words - 1)]);
}

fn store(row: u32, column: u32, acc: vec4i) {
  if (row >= args.m || column >= args.n) { return; }
  let sum = acc - args.zero * bitcast<vec4i>(weights[args.sums + row / 4]);
  var v = vec4f(sum) * (args.x_scale * bitcast<vec4f>(weights[args.scales + row / 4]));
  let r = min(row + vec4u(0, 1, 2, 3), vec4u(args.m - 1));
  if (args.bias != 0) { v += vec4f(bias[r.x], bias[r.y], bias[r.z], bias[r.w]); }
  let o = column * args.m + r;
  if (args.residual != 0) { v += vec4f(residual[o.x], residual[o.y], residual[o.z], residual[o.w]); }
  v = bounded4(v, args.lo, args.hi);
  for (var j = 0u; j < 4; j++) {
    if (row + j < args.m) { out[o[j]] = v[j]; }
  }
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let linear = linear_workgroup(wg, count);
  let column = linear / args.row_groups * COLUMNS;
  if (column >= args.n) { return; }
  let lane = local % SUBGROUP;
  let quad = linear % args.row_groups * WG + local;
  let row = 4 * quad;
  var w_at = min(quad, args.quads - 1);
  var acc0 = vec4i();
  var acc1 = vec4i();
  var acc2 = vec4i();
  var acc3 = vec4i();
  // The weights are laid out in whole fours of words.
  for (var word = 0u; word < args.words; word += 4) {
    let w0 = weights[w_at];
    let w1 = weights[w_at + args.quads];
    let w2 = weights[w_at + 2 * args.quads];
    let w3 = weights[w_at + 3 * args.quads];
    w_at += 4 * args.quads;
    let x0 = load_x(column, word + lane % 4);
    acc0 = madd(acc0, w0, subgroupBroadcast(x0, 0u));
    acc0 = madd(acc0, w1, subgroupBroadcast(x0, 1u));
    acc0 = madd(acc0, w2, subgroupBroadcast(x0, 2u));
    acc0 = madd(acc0, w3, subgroupBroadcast(x0, 3u));
    if (COLUMNS > 1) {
      let x1 = load_x(column + 1, word + lane % 4);
      acc1 = madd(acc1, w0, subgroupBroadcast(x1, 0u));
      acc1 = madd(acc1, w1, subgroupBroadcast(x1, 1u));
      acc1 = madd(acc1, w2, subgroupBroadcast(x1, 2u));
      acc1 = madd(acc1, w3, subgroupBroadcast(x1, 3u));
    }
    if (COLUMNS > 2) {
      let x2 = load_x(column + 2, word + lane % 4);
      acc2 = madd(acc2, w0, subgroupBroadcast(x2, 0u));
      acc2 = madd(acc2, w1, subgroupBroadcast(x2, 1u));
      acc2 = madd(acc2, w2, subgroupBroadcast(x2, 2u));
      acc2 = madd(acc2, w3, subgroupBroadcast(x2, 3u));
    }
    if (COLUMNS > 3) {
      let x3 = load_x(column + 3, word + lane % 4);
      acc3 = madd(acc3, w0, subgroupBroadcast(x3, 0u));
      acc3 = madd(acc3, w1, subgroupBroadcast(x3, 1u));
      acc3 = madd(acc3, w2, subgroupBroadcast(x3, 2u));
      acc3 = madd(acc3, w3, subgroupBroadcast(x3, 3u));
    }
  }
  store(row, column, acc0);
  if (COLUMNS > 1) { store(row, column + 1, acc1); }
  if (COLUMNS > 2) { store(row, column + 2, acc2); }
  if (COLUMNS > 3) { store(row, column + 3, acc3); }
}
