// A dense layer of quantized rows (quantize_rows) with packed int8 weights for up to four rows of x at a time, exact in
// int32: for GPUs, and wherever subgroups are missing. A workgroup takes ROWS rows of the weights, SPLITS invocations on
// each, which sum every SPLITS-th word of the row; their sums are added in workgroup memory.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded;
import package::common::int8::{dot4, nibbles_16fold};

// Rows of x, 1 to 4.
const COLUMNS: u32 = 1;
// Bits of a weight, 8 or 4.
const BITS: u32 = 8;
override WG: u32 = 256;
override ROWS: u32 = 32;
override SPLITS: u32 = WG / ROWS;

struct Args {
  m: u32, n: u32, words: u32, x_row: u32, // rows of the weights; rows of x; words of k; words of a row of x
  quads: u32, // fours of rows as laid out
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

// Words of k that a word of weights holds. Rows of x are whole fours of words, so that the last may be one too many; its
// weights are zero.
const SHARE: u32 = 8 / BITS;

var<workgroup> parts: array<vec4i, WG>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let linear = linear_workgroup(wg, count);
  let column = linear / args.row_groups * COLUMNS;
  if (column >= args.n) { return; }
  let row = linear % args.row_groups * ROWS + local % ROWS;
  let w_at = min(row, args.m - 1);
  let x_at = min(column + vec4u(0, 1, 2, 3), vec4u(args.n - 1)) * args.x_row;
  var acc = vec4i();
  for (var i = local / ROWS; i * SHARE < args.words; i += SPLITS) {
    let packed = weights[w_at + i * (4 * args.quads)];
    for (var half = 0u; half < SHARE; half++) {
      let word = i * SHARE + half;
      let w = select(packed, nibbles_16fold(packed, half), BITS == 4);
      acc.x += dot4(w, x[x_at.x + word]);
      if (COLUMNS > 1) { acc.y += dot4(w, x[x_at.y + word]); }
      if (COLUMNS > 2) { acc.z += dot4(w, x[x_at.z + word]); }
      if (COLUMNS > 3) { acc.w += dot4(w, x[x_at.w + word]); }
    }
  }
  parts[local] = acc;
  workgroupBarrier();
  if (local >= ROWS || row >= args.m) { return; }
  for (var part = 1u; part < SPLITS; part++) { acc += parts[local + part * ROWS]; }
  if (BITS == 4) { acc >>= vec4u(4); } // sums of 16-fold weights
  acc -= args.zero * bitcast<i32>(weights[args.sums + row]);
  let factor = args.x_scale * bitcast<f32>(weights[args.scales + row]);
  for (var j = 0u; j < min(COLUMNS, args.n - column); j++) {
    var v = f32(acc[j]) * factor;
    if (args.bias != 0) { v += bias[row]; }
    let o = (column + j) * args.m + row;
    if (args.residual != 0) { v += residual[o]; }
    out[o] = bounded(v, args.lo, args.hi);
  }
}
