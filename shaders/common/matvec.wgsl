// What matvec and matvec_subgroup share: their interface, and what becomes of a sum.
import package::common::bounds::bounded;
import package::common::weights::{BITS, GROUPED, WeightLayout, scale_of};

struct Args {
  rows: u32, k: u32, m: u32, // weights are [rows][k], x is [m][k], out and residual are [m][rows]
  tiles: u32, // row tiles
  w_codes: u32, w_pairs: u32, w_bits: u32, w_scales: u32, w_zeros: u32, w_table: u32, w_group: u32, // see common/weights
  bias: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
// Binding 2 is common/weights' own.
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const RESIDUAL: bool = false;

fn weight_layout() -> WeightLayout {
  return WeightLayout(args.rows, args.k, args.w_codes, args.w_pairs, args.w_bits, args.w_scales, args.w_zeros, args.w_table, args.w_group);
}

// Nothing where the row or the vector is beyond the last.
fn store(row: u32, vector: u32, sum: f32) {
  if (row >= args.rows || vector >= args.m) { return; }
  var y = sum;
  if (!GROUPED && BITS < 16) { y *= scale_of(row, 0, weight_layout()); }
  if (args.bias != 0) { y += bias[row]; }
  let o = vector * args.rows + row;
  if (RESIDUAL) { y += residual[o]; }
  out[o] = bounded(y, args.lo, args.hi);
}
