// Weights of the convolution that computes the input's gradient: channels swapped within their group, kernels turned by
// half a turn. weights = [groups][oc][ic][kh][kw] becomes out = [groups][ic][oc][taps_y][taps_x], oc and ic counted per
// group. A strided convolution takes every step-th tap of each axis per phase of the input (see src/kernels/convPhases.ts).
import package::common::grid::linear_workgroup;

override WG: u32 = 64;

struct Args {
  oc: u32, ic: u32, kh: u32, kw: u32, // channels of a group, size of a kernel
  n: u32, span: u32, // elements of out, and those of a workgroup
  taps_y: u32, taps_x: u32, last_y: u32, last_x: u32, step_y: u32, step_x: u32, // tap t is kernel row last_y - t * step_y
  out_offset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let row_of_taps = i / args.taps_x;
    let tx = i - row_of_taps * args.taps_x;
    let channels = row_of_taps / args.taps_y;
    let ty = row_of_taps - channels * args.taps_y;
    let inputs = channels / args.oc;
    let oc = channels - inputs * args.oc;
    let g = inputs / args.ic;
    let ic = inputs - g * args.ic;
    let row = ((g * args.oc + oc) * args.ic + ic) * args.kh + args.last_y - ty * args.step_y;
    out[args.out_offset + i] = weights[row * args.kw + args.last_x - tx * args.step_x];
  }
}
