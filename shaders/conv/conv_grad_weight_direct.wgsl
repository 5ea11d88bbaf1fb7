// Weight gradient of a convolution, f32, for groups of few channels (depthwise): each invocation sums one weight over its
// split's share of the images. out = [splits][oc][ic of a group][kh][kw]; `reduce_splits` adds the shares.
import package::common::grid::linear_workgroup;

override WG: u32 = 64;

struct Args {
  weights: u32, group_oc: u32, group_ic: u32, kw: u32, khw: u32, // all weights; channels of a group
  x_channel: u32, x_ky: u32, x_kx: u32, // input distance of one channel, one kernel row, one kernel column
  x_image: u32, x_oy: u32, x_ox: u32, // and of one image, one output row, one output column
  oh: u32, ow: u32, grad_image: u32,
  images: u32, split_images: u32, splits: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = linear_workgroup(group, count) * WG + lane;
  if (i >= args.weights * args.splits) { return; }
  let split = i / args.weights;
  let weight = i % args.weights;
  let tap = weight % args.khw;
  let ic = weight / args.khw % args.group_ic;
  let channel = weight / (args.khw * args.group_ic);
  let x_first = (channel / args.group_oc * args.group_ic + ic) * args.x_channel + tap / args.kw * args.x_ky + tap % args.kw * args.x_kx;
  let g_first = channel * args.oh * args.ow;
  var total = 0.0;
  for (var image = split * args.split_images; image < min((split + 1) * args.split_images, args.images); image++) {
    // One sum per image and one per row keep the rounding error of a long sum small.
    var sum = 0.0;
    var g = g_first + image * args.grad_image;
    for (var oy = 0u; oy < args.oh; oy++) {
      var at = x_first + image * args.x_image + oy * args.x_oy;
      var row = 0.0;
      for (var ox = 0u; ox < args.ow; ox++) {
        row += grad[g] * x[at];
        g++;
        at += args.x_ox;
      }
      sum += row;
    }
    total += sum;
  }
  out[i] = total;
}
