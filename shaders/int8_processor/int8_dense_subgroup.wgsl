// A dense layer of quantized rows (quantize_rows) with packed int8 weights, exact in int32: for adapters that run on a CPU,
// where a load costs as much as several multiply-adds, and one of a vector hardly more than one of a number.
//
// A tile is COLUMNS rows of x by four rows of the weights per lane. The weights of four rows lie side by side and come in
// one load. Lane c loads sixteen numbers of row c of x, and the subgroup broadcasts them. Sixteen rows of x take more
// registers than there are and are no faster.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded4;
import package::common::int8::{dot4, nibbles_16fold};

enable subgroups;

const SUBGROUP: u32 = 8;
// Rows of x per tile: 1, 2, 4 or 8.
const COLUMNS: u32 = 1;
// Bits of a weight, 8 or 4.
const BITS: u32 = 8;

struct Args {
  m: u32, n: u32, fours: u32, x_row: u32, // rows of the weights; rows of x; fours of words of k; those from one row of x to the next
  quads: u32, // fours of rows of the weights as laid out
  scales: u32, sums: u32, // fours of words before the scales and the sums of the rows in the weights
  zero: i32, x_scale: f32, // the code of zero, and the step, of x
  row_groups: u32,
  bias: u32, residual: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4u>;
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// Registers that hold x: column c sits in register c / SUBGROUP, lane c % SUBGROUP.
const HELD: u32 = (COLUMNS + SUBGROUP - 1) / SUBGROUP;

// One word of four rows of the weights times one of x.
fn madd(acc: vec4i, w: vec4u, x: u32) -> vec4i {
  return acc + vec4i(dot4(w.x, x), dot4(w.y, x), dot4(w.z, x), dot4(w.w, x));
}

// A row past the end reads the last one instead, and is not stored.
fn load_x(column: u32, four: u32) -> vec4u {
  return x[min(column, args.n - 1) * args.x_row + four];
}

// Words of k that a word of weights holds.
const SHARE: u32 = 8 / BITS;

// One of the words of k that these words of four rows hold.
fn unpack(words: vec4u, half: u32) -> vec4u {
  if (BITS == 8) { return words; }
  return vec4u(
    nibbles_16fold(words.x, half),
    nibbles_16fold(words.y, half),
    nibbles_16fold(words.z, half),
    nibbles_16fold(words.w, half),
  );
}

fn store(row: u32, column: u32, acc: vec4i) {
  if (row >= args.m || column >= args.n) { return; }
  let sum = select(acc, acc >> vec4u(4), BITS == 4) - args.zero * bitcast<vec4i>(weights[args.sums + row / 4]);
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

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let linear = linear_workgroup(wg, count);
  let column = linear / args.row_groups * COLUMNS;
  if (column >= args.n) { return; }
  let quad = linear % args.row_groups * SUBGROUP + lane;
  let row = 4 * quad;
  var w_at = min(quad, args.quads - 1);

  var acc0 = vec4i();
  var acc1 = vec4i();
  var acc2 = vec4i();
  var acc3 = vec4i();
  var acc4 = vec4i();
  var acc5 = vec4i();
  var acc6 = vec4i();
  var acc7 = vec4i();

  for (var four = 0u; four < args.fours; four++) {
    var w0 = weights[w_at];
    var w1 = w0;
    if (BITS == 8) { w1 = weights[w_at + args.quads]; }
    var w2 = weights[w_at + 2 / SHARE * args.quads];
    var w3 = w2;
    if (BITS == 8) { w3 = weights[w_at + 3 * args.quads]; }
    w_at += 4 / SHARE * args.quads;
    w0 = unpack(w0, 0u);
    w1 = unpack(w1, 1u);
    w2 = unpack(w2, 0u);
    w3 = unpack(w3, 1u);
    var held: array<vec4u, HELD>;
    held[0] = load_x(column + lane % COLUMNS, four);
    if (HELD > 1) { held[1 % HELD] = load_x(column + lane + SUBGROUP, four); }
    let x0 = subgroupBroadcast(held[0 / SUBGROUP % HELD], 0u % SUBGROUP);
    acc0 = madd(acc0, w0, x0.x);
    acc0 = madd(acc0, w1, x0.y);
    acc0 = madd(acc0, w2, x0.z);
    acc0 = madd(acc0, w3, x0.w);
    if (COLUMNS > 1) {
      let x1 = subgroupBroadcast(held[1 / SUBGROUP % HELD], 1u % SUBGROUP);
      acc1 = madd(acc1, w0, x1.x);
      acc1 = madd(acc1, w1, x1.y);
      acc1 = madd(acc1, w2, x1.z);
      acc1 = madd(acc1, w3, x1.w);
    }
    if (COLUMNS > 2) {
      let x2 = subgroupBroadcast(held[2 / SUBGROUP % HELD], 2u % SUBGROUP);
      acc2 = madd(acc2, w0, x2.x);
      acc2 = madd(acc2, w1, x2.y);
      acc2 = madd(acc2, w2, x2.z);
      acc2 = madd(acc2, w3, x2.w);
      let x3 = subgroupBroadcast(held[3 / SUBGROUP % HELD], 3u % SUBGROUP);
      acc3 = madd(acc3, w0, x3.x);
      acc3 = madd(acc3, w1, x3.y);
      acc3 = madd(acc3, w2, x3.z);
      acc3 = madd(acc3, w3, x3.w);
    }
    if (COLUMNS > 4) {
      let x4 = subgroupBroadcast(held[4 / SUBGROUP % HELD], 4u % SUBGROUP);
      acc4 = madd(acc4, w0, x4.x);
      acc4 = madd(acc4, w1, x4.y);
      acc4 = madd(acc4, w2, x4.z);
      acc4 = madd(acc4, w3, x4.w);
      let x5 = subgroupBroadcast(held[5 / SUBGROUP % HELD], 5u % SUBGROUP);
      acc5 = madd(acc5, w0, x5.x);
      acc5 = madd(acc5, w1, x5.y);
      acc5 = madd(acc5, w2, x5.z);
      acc5 = madd(acc5, w3, x5.w);
      let x6 = subgroupBroadcast(held[6 / SUBGROUP % HELD], 6u % SUBGROUP);
      acc6 = madd(acc6, w0, x6.x);
      acc6 = madd(acc6, w1, x6.y);
      acc6 = madd(acc6, w2, x6.z);
      acc6 = madd(acc6, w3, x6.w);
      let x7 = subgroupBroadcast(held[7 / SUBGROUP % HELD], 7u % SUBGROUP);
      acc7 = madd(acc7, w0, x7.x);
      acc7 = madd(acc7, w1, x7.y);
      acc7 = madd(acc7, w2, x7.z);
      acc7 = madd(acc7, w3, x7.w);
    }
  }

  store(row, column, acc0);
  if (COLUMNS > 1) {
    store(row, column + 1, acc1);
  }
  if (COLUMNS > 2) {
    store(row, column + 2, acc2);
    store(row, column + 3, acc3);
  }
  if (COLUMNS > 4) {
    store(row, column + 4, acc4);
    store(row, column + 5, acc5);
    store(row, column + 6, acc6);
    store(row, column + 7, acc7);
  }
}
