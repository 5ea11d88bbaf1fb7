// Convolution of an already padded NCHW input, f32, for groups of few channels (depthwise), where a matrix product would
// be mostly empty. An invocation computes quads: four pixels of one output plane, neighbours in the flattened plane.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded4;
import package::common::weights::{WeightLayout, weight};

override WG: u32 = 64;

struct Args {
  oc: u32, group_oc: u32, group_ic: u32, // all output channels; channels of a group
  x_channel: u32, x_ky: u32, x_kx: u32, // input distance of one channel, one kernel row, one kernel column
  x_offset: u32, x_image: u32, x_oy: u32, x_ox: u32, // of one image, one output row, one output column
  ow: u32, ohw: u32, // output columns computed, and pixels
  out_offset: u32, out_image: u32, out_channel: u32, out_oy: u32, out_ox: u32, // where they go
  w_rows: u32, w_codes: u32, w_pairs: u32, w_bits: u32, w_scales: u32, w_zeros: u32, w_table: u32, w_group: u32, // see common/weights
  quads: u32, size: u32, span: u32, // ceil(ohw / 4); images * oc * quads; quads of a workgroup
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
  return WeightLayout(args.w_rows, args.group_ic * KH * KW, args.w_codes, args.w_pairs, args.w_bits, args.w_scales, args.w_zeros, args.w_table, args.w_group);
}

// The pixels of a quad are neighbours in a row of the output and of the input: a tap one column on needs one load more,
// not four.
const STRIP: bool = false;
// Kernel rows and columns as constants, so that the loops unroll; a loop blends its values with the lane mask each time
// round on CPU adapters.
const KH: u32 = 1u;
const KW: u32 = 1u;

fn filtered(first: vec4u, channel: u32, ic: u32) -> vec4f {
  let places = weight_layout();
  var acc = vec4f();
  for (var ky = 0u; ky < KH; ky++) {
    let at = first + ic * args.x_channel + ky * args.x_ky;
    let w = (ic * KH + ky) * KW;
    if (STRIP) {
      var strip = vec4f(0.0, x[at.x], x[at.x + 1], x[at.x + 2]);
      for (var kx = 0u; kx < KW; kx++) {
        strip = vec4f(strip.yzw, x[at.x + 3 + kx]);
        acc += weight(channel, w + kx, places) * strip;
      }
    } else {
      for (var kx = 0u; kx < KW; kx++) {
        let t = at + kx * args.x_kx;
        acc += weight(channel, w + kx, places) * vec4f(x[t.x], x[t.y], x[t.z], x[t.w]);
      }
    }
  }
  return acc;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.size);
  for (var i = begin + lane; i < end; i += WG) {
    let plane = i / args.quads;
    let image = plane / args.oc;
    let channel = plane - image * args.oc;
    let pixel = 4 * (i - plane * args.quads);
    let p = min(vec4u(pixel, pixel + 1, pixel + 2, pixel + 3), vec4u(args.ohw - 1));
    let oy = p / args.ow;
    let ox = p - oy * args.ow;
    let origin = args.x_offset + image * args.x_image + channel / args.group_oc * args.group_ic * args.x_channel;
    let first = origin + oy * args.x_oy + ox * args.x_ox;
    var acc = vec4f();
    for (var ic = 0u; ic < args.group_ic; ic++) {
      acc += filtered(first, channel, ic);
    }
    if (args.bias != 0) { acc += bias[channel]; }
    let o = args.out_offset + image * args.out_image + channel * args.out_channel + oy * args.out_oy + ox * args.out_ox;
    if (RESIDUAL) { acc += vec4f(residual[o.x], residual[o.y], residual[o.z], residual[o.w]); }
    acc = bounded4(acc, args.lo, args.hi);
    for (var j = 0u; j < 4; j++) {
      if (pixel + j < args.ohw) { out[o[j]] = acc[j]; }
    }
  }
}
