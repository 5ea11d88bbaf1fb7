// dx of average_pool: every element of x gathers dy / divisor of the windows that it is in, in the windows' order.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements of x, and those of a workgroup
  ih: u32, iw: u32, ihw: u32, oh: u32, ow: u32,
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

// Most windows that an element can be in, along each axis.
const OVER_H: u32 = ((KH - 1) * DIL_H + STRIDE_H) / STRIDE_H;
const OVER_W: u32 = ((KW - 1) * DIL_W + STRIDE_W) / STRIDE_W;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// Taps before position `end`, of `kernel` taps that begin at `start`.
fn taps_before(start: i32, end: i32, kernel: u32, dilation: u32) -> u32 {
  return min(u32(max(end - start, 0) + i32(dilation) - 1) / dilation, kernel);
}

// Elements of a window along one axis that its divisor counts.
fn counted(start: i32, size: u32, padded: i32, kernel: u32, dilation: u32) -> u32 {
  if (COUNT_PADDING) { return taps_before(start, padded, kernel, dilation); }
  return taps_before(start, i32(size), kernel, dilation) - taps_before(start, 0, kernel, dilation);
}

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
      let down = py - oy * STRIDE_H;
      let top = i32(oy * STRIDE_H - args.pad_top);
      let in_rows = (oy < args.oh) & (down % DIL_H == 0) & (down < KH * DIL_H);
      let count_h = select(KH, counted(top, args.ih, args.counted_h, KH, DIL_H), PADDED);
      for (var k = OVER_W; k > 0; k--) {
        let ox = last_x + 1 - k;
        let right = px - ox * STRIDE_W;
        let left = i32(ox * STRIDE_W - args.pad_left);
        let count_w = select(KW, counted(left, args.iw, args.counted_w, KW, DIL_W), PADDED);
        let inside = in_rows & (ox < args.ow) & (right % DIL_W == 0) & (right < KW * DIL_W);
        sum += select(0.0, dy[row + ox] / f32(count_h * count_w), inside);
      }
    }
    dx[i] = sum;
  }
}
