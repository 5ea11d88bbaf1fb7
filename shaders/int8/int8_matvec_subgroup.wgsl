// A dense layer of quantized rows (quantize_rows) with packed int8 weights for up to four rows of x at a time, exact in
// int32: for adapters that run on a CPU. Each lane owns one row of the weights; the words of x are loaded four at a time
// and broadcast, since a load costs as much as several multiply-adds.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded;
import package::common::int8::bytes4;

enable subgroups;

const SUBGROUP: u32 = 8;
// Rows of x, 1 to 4.
const COLUMNS: u32 = 1;
override WG: u32 = 8;

struct Args {
  m: u32, n: u32, words: u32, x_row: u32, // rows of the weights; rows of x; words of k; words of a row of x
  scales: u32, sums: u32, // where the scales and the sums of the rows lie in the weights
  zero: i32, x_scale: f32, // the code of zero, and the step, of x
  row_groups: u32,
  bias: u32, residual: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

fn dot_bytes(a: vec4i, b: vec4i) -> i32 {
  return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

fn load_x(column: u32, word: u32) -> vec4i {
  return bytes4(x[min(column, args.n - 1) * args.x_row + min(word, args.words - 1)]);
}

fn store(row: u32, column: u32, acc: i32) {
  if (row >= args.m || column >= args.n) { return; }
  let sum = acc - args.zero * bitcast<i32>(weights[args.sums + row]);
  var v = f32(sum) * (args.x_scale * bitcast<f32>(weights[args.scales + row]));
  if (args.bias != 0) { v += bias[row]; }
  let o = column * args.m + row;
  if (args.residual != 0) { v += residual[o]; }
  out[o] = bounded(v, args.lo, args.hi);
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
  let row = linear % args.row_groups * WG + local;
  var w_at = min(row, args.m - 1);
  var acc0 = 0;
  var acc1 = 0;
  var acc2 = 0;
  var acc3 = 0;
  // The weights are laid out in whole fours of words.
  for (var word = 0u; word < args.words; word += 4) {
    let w0 = bytes4(weights[w_at]);
    let w1 = bytes4(weights[w_at + args.m]);
    let w2 = bytes4(weights[w_at + 2 * args.m]);
    let w3 = bytes4(weights[w_at + 3 * args.m]);
    w_at += 4 * args.m;
    let x0 = load_x(column, word + lane % 4);
    acc0 += dot_bytes(w0, subgroupBroadcast(x0, 0u)) + dot_bytes(w1, subgroupBroadcast(x0, 1u))
      + dot_bytes(w2, subgroupBroadcast(x0, 2u)) + dot_bytes(w3, subgroupBroadcast(x0, 3u));
    if (COLUMNS > 1) {
      let x1 = load_x(column + 1, word + lane % 4);
      acc1 += dot_bytes(w0, subgroupBroadcast(x1, 0u)) + dot_bytes(w1, subgroupBroadcast(x1, 1u))
        + dot_bytes(w2, subgroupBroadcast(x1, 2u)) + dot_bytes(w3, subgroupBroadcast(x1, 3u));
    }
    if (COLUMNS > 2) {
      let x2 = load_x(column + 2, word + lane % 4);
      acc2 += dot_bytes(w0, subgroupBroadcast(x2, 0u)) + dot_bytes(w1, subgroupBroadcast(x2, 1u))
        + dot_bytes(w2, subgroupBroadcast(x2, 2u)) + dot_bytes(w3, subgroupBroadcast(x2, 3u));
    }
    if (COLUMNS > 3) {
      let x3 = load_x(column + 3, word + lane % 4);
      acc3 += dot_bytes(w0, subgroupBroadcast(x3, 0u)) + dot_bytes(w1, subgroupBroadcast(x3, 1u))
        + dot_bytes(w2, subgroupBroadcast(x3, 2u)) + dot_bytes(w3, subgroupBroadcast(x3, 3u));
    }
  }
  store(row, column, acc0);
  if (COLUMNS > 1) { store(row, column + 1, acc1); }
  if (COLUMNS > 2) { store(row, column + 2, acc2); }
  if (COLUMNS > 3) { store(row, column + 3, acc3); }
}
