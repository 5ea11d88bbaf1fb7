// dx of max_pool: every element of x gathers dy of the windows whose largest element it is, in the windows' order.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements of x, and those of a workgroup
  iw: u32, ihw: u32, oh: u32, ow: u32,
  pad_top: u32, pad_left: u32,
}

override WG: u32 = 64;
// The window is part of the program: a network has few, and loops of known length cost a fraction of others.
const KH: u32 = 2;
const KW: u32 = 2;
const STRIDE_H: u32 = 2;
const STRIDE_W: u32 = 2;
const DIL_H: u32 = 1;
const DIL_W: u32 = 1;

// Most windows that an element can be in, along each axis.
const OVER_H: u32 = ((KH - 1) * DIL_H + STRIDE_H) / STRIDE_H;
const OVER_W: u32 = ((KW - 1) * DIL_W + STRIDE_W) / STRIDE_W;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> argmax: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, groups) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let plane = i / args.ihw;
    let in_plane = i - plane * args.ihw;
    let iy = in_plane / args.iw;
    let py = iy + args.pad_top;
    let px = in_plane - iy * args.iw + args.pad_left;
    let last_y = py / STRIDE_H;
    let last_x = px / STRIDE_W;
    var sum = 0.0;
    for (var j = OVER_H; j > 0; j--) {
      // A window before the first wraps around to far beyond the last.
      let oy = last_y + 1 - j;
      let row = (plane * args.oh + oy) * args.ow;
      for (var k = OVER_W; k > 0; k--) {
        let ox = last_x + 1 - k;
        let mine = (oy < args.oh) & (ox < args.ow) & (argmax[row + ox] == in_plane);
        sum += select(0.0, dy[row + ox], mine);
      }
    }
    dx[i] = sum;
  }
}
