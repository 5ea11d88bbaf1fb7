// Mean of every window of x [planes, ih, iw], as y [planes, oh, ow]. The divisor counts the window's elements inside
// ih, iw; or, with COUNT_PADDING, those before counted_h, counted_w = ih + pad_bottom, iw + pad_right.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // windows, and those of a workgroup
  ih: u32, iw: u32, ow: u32, ohw: u32,
  pad_top: u32, pad_left: u32,
  counted_h: i32, counted_w: i32,
}

override WG: u32 = 64;
// The window is part of the program: a network has few, and loops of known length cost a fraction of others.
const KH: u32 = 2;
const KW: u32 = 2;
const STRIDE_H: u32 = 2;
const STRIDE_W: u32 = 2;
const DIL_H: u32 = 1;
const DIL_W: u32 = 1;
// Some window reaches past the input.
const PADDED: bool = true;
const COUNT_PADDING: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, groups) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let plane = i / args.ohw;
    let in_plane = i - plane * args.ohw;
    let oy = in_plane / args.ow;
    let ox = in_plane - oy * args.ow;
    // A coordinate before the input wraps around to far beyond it.
    let top = oy * STRIDE_H - args.pad_top;
    let left = ox * STRIDE_W - args.pad_left;
    var sum = 0.0;
    var count = 0.0;
    for (var ky = 0u; ky < KH; ky++) {
      let iy = top + ky * DIL_H;
      let row = (plane * args.ih + iy) * args.iw;
      for (var kx = 0u; kx < KW; kx++) {
        let ix = left + kx * DIL_W;
        let inside = !PADDED | ((iy < args.ih) & (ix < args.iw));
        sum += select(0.0, x[row + ix], inside);
        let counts = select(inside, (i32(iy) < args.counted_h) & (i32(ix) < args.counted_w), COUNT_PADDING);
        count += select(0.0, 1.0, counts);
      }
    }
    y[i] = sum / max(select(f32(KH * KW), count, PADDED), 1.0);
  }
}
