// What conv_subgroup and conv_tiled share: their interface, and what becomes of the sums.
import package::common::bounds::bounded4;
import package::common::weights::WeightLayout;

struct Args {
  m: u32, n: u32, k: u32, // output channels of a group; batch * oh * ow; input channels of a group * kh * kw
  kw: u32, khw: u32, // taps in a kernel row, and in a kernel
  x_channel: u32, x_ky: u32, x_kx: u32, // input distance of one channel, one kernel row, one kernel column
  x_offset: u32, x_image: u32, x_group: u32, x_oy: u32, x_ox: u32, // of one image, one group, one output row, one output column
  ow: u32, ohw: u32, // output columns computed, and pixels
  out_offset: u32, out_image: u32, out_channel: u32, out_oy: u32, out_ox: u32, // where they go
  w_rows: u32, w_codes: u32, w_pairs: u32, w_bits: u32, w_scales: u32, w_zeros: u32, w_table: u32, w_group: u32, // see common/weights
  tiles_m: u32, group_workgroups: u32, groups: u32,
  bias: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
// Binding 2 is common/weights' own.
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// Whether a tensor of the result's layout is added before the bounds.
const RESIDUAL: bool = false;

fn weight_layout() -> WeightLayout {
  return WeightLayout(args.w_rows, args.k, args.w_codes, args.w_pairs, args.w_bits, args.w_scales, args.w_zeros, args.w_table, args.w_group);
}

fn store(row: u32, pixel: u32, group: u32, at: vec4u, acc: vec4f) {
  if (row >= args.m) { return; }
  let channel = group * args.m + row;
  var v = acc;
  if (args.bias != 0) { v += bias[channel]; }
  let o = at + channel * args.out_channel;
  if (RESIDUAL) { v += vec4f(residual[o.x], residual[o.y], residual[o.z], residual[o.w]); }
  v = bounded4(v, args.lo, args.hi);
  // Written out: SwiftShader is faster without the loop.
  if (pixel < args.n) { out[o.x] = v.x; }
  if (pixel + 1 < args.n) { out[o.y] = v.y; }
  if (pixel + 2 < args.n) { out[o.z] = v.z; }
  if (pixel + 3 < args.n) { out[o.w] = v.w; }
}
