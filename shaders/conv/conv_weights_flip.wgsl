// Weights of the convolution that computes the input's gradient: channels swapped within their group, kernels turned by
// half a turn. weights = [groups][oc][ic][kh][kw] becomes out = [groups][ic][oc][taps_y][taps_x], oc and ic counted per
// group. A strided convolution takes every step-th tap of each axis per phase of the input (see src/kernels/convPhases.ts).
//
// Channels go in blocks: whichever way one turns, either what is read or what is written lies a row of channels apart, and
// what a block reads and writes fits a cache.
import package::common::grid::linear_workgroup;

override WG: u32 = 64;

struct Args {
  oc: u32, ic: u32, kh: u32, kw: u32, // channels of a group, size of a kernel
  blocks_oc: u32, blocks_ic: u32, // of a group
  n: u32, span: u32, // kernels of all blocks, and those of a workgroup
  taps_y: u32, taps_x: u32, last_y: u32, last_x: u32, step_y: u32, step_x: u32, // tap t is kernel row last_y - t * step_y
  out_offset: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// Channels of a block, powers of two.
const OC: u32 = 16;
const IC: u32 = 16;
// A single tap: SwiftShader goes through a loop twice for it.
const SINGLE: bool = false;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let tile = i / (OC * IC);
    let tile_row = tile / args.blocks_oc;
    let g = tile_row / args.blocks_ic;
    let oc = (tile - tile_row * args.blocks_oc) * OC + (i & (OC - 1));
    let ic = (tile_row - g * args.blocks_ic) * IC + ((i / OC) & (IC - 1));
    if (oc >= args.oc || ic >= args.ic) { continue; }
    let last = (((g * args.oc + oc) * args.ic + ic) * args.kh + args.last_y) * args.kw + args.last_x;
    let first = args.out_offset + ((g * args.ic + ic) * args.oc + oc) * args.taps_y * args.taps_x;
    if (SINGLE) {
      out[first] = weights[last];
      continue;
    }
    for (var ty = 0u; ty < args.taps_y; ty++) {
      let row = last - ty * args.step_y * args.kw;
      let to = first + ty * args.taps_x;
      for (var tx = 0u; tx < args.taps_x; tx++) { out[to + tx] = weights[row - tx * args.step_x]; }
    }
  }
}
