// Convolution of an already padded NCHW input, f32, for groups of few channels (depthwise), where a matrix product would
// be mostly empty. Each invocation computes four pixels of one output plane, neighbours in the flattened plane.
import package::common::grid::linear_workgroup;

override WG: u32 = 64;

struct Args {
  oc: u32, group_oc: u32, group_ic: u32, kh: u32, kw: u32, // all output channels; channels of a group
  x_channel: u32, x_ky: u32, x_kx: u32, // input distance of one channel, one kernel row, one kernel column
  x_offset: u32, x_image: u32, x_oy: u32, x_ox: u32, // of one image, one output row, one output column
  ow: u32, ohw: u32, // output columns computed, and pixels
  out_offset: u32, out_image: u32, out_channel: u32, out_oy: u32, out_ox: u32, // where they go
  w_offset: u32,
  quads: u32, size: u32, // ceil(ohw / 4); images * oc * quads
  bias: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = linear_workgroup(group, count) * WG + lane;
  if (i >= args.size) { return; }
  let plane = i / args.quads;
  let image = plane / args.oc;
  let channel = plane - image * args.oc;
  let pixel = 4 * (i - plane * args.quads);
  let p = min(vec4u(pixel, pixel + 1, pixel + 2, pixel + 3), vec4u(args.ohw - 1));
  let oy = p / args.ow;
  let ox = p - oy * args.ow;
  let first = args.x_offset + image * args.x_image + channel / args.group_oc * args.group_ic * args.x_channel;
  let at = first + oy * args.x_oy + ox * args.x_ox;
  var w = args.w_offset + channel * args.group_ic * args.kh * args.kw;
  var acc = vec4f();
  for (var ic = 0u; ic < args.group_ic; ic++) {
    for (var ky = 0u; ky < args.kh; ky++) {
      let tap = at + ic * args.x_channel + ky * args.x_ky;
      for (var kx = 0u; kx < args.kw; kx++) {
        let t = tap + kx * args.x_kx;
        acc += weights[w + kx] * vec4f(x[t.x], x[t.y], x[t.z], x[t.w]);
      }
      w += args.kw;
    }
  }
  if (args.bias != 0) { acc += bias[channel]; }
  // Comparisons, not min and max, so that a NaN stays visible.
  acc = select(acc, vec4f(args.lo), acc < vec4f(args.lo));
  acc = select(acc, vec4f(args.hi), acc > vec4f(args.hi));
  let o = args.out_offset + image * args.out_image + channel * args.out_channel + oy * args.out_oy + ox * args.out_ox;
  for (var j = 0u; j < 4; j++) {
    if (pixel + j < args.ohw) { out[o[j]] = acc[j]; }
  }
}
