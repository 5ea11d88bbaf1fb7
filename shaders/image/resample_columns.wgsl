// Second pass of a resize, and the network's input from it: each sum over a column rounded to a byte, then
// out = (p*scale - mean[c]) / std[c], with `affine` as in train/prepare_batch.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements of the result, and those of a workgroup
  channels: u32, height: u32, width: u32, // of the result
  first_row: u32, // of the source: the first one that `rows` holds
  taps: u32, // weights per row of the result
  reverse: u32, // 1: the result's channels are b, g, r
}

override WG: u32 = 64;
const NHWC: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> rows: array<u32>; // r, g, b from the low byte up; args.width to a row
@group(0) @binding(2) var<storage, read> lines: array<i32>; // per row of the result: first row, number of weights, weights
@group(0) @binding(3) var<storage, read> affine: array<f32>; // [3][C]
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [C][H][W] or [H][W][C]

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let inner = select(args.width, args.channels, NHWC);
    let middle = select(args.height, args.width, NHWC);
    let row = i / inner;
    let outer = row / middle;
    let at = vec3u(i - row * inner, row - outer * middle, outer);
    let c = select(at.z, at.x, NHWC);
    let x = select(at.x, at.y, NHWC);
    let y = select(at.y, at.z, NHWC);
    let shift = 8u * select(c, args.channels - 1u - c, args.reverse != 0u);
    let table = y * (args.taps + 2u);
    let start = u32(lines[table]) - args.first_row;
    var sum = 1 << 21u;
    for (var tap = 0u; tap < u32(lines[table + 1u]); tap++) {
      sum += i32((rows[(start + tap) * args.width + x] >> shift) & 255u) * lines[table + 2u + tap];
    }
    let p = f32(clamp(sum >> 22u, 0, 255));
    out[i] = ((p - affine[c]) - affine[args.channels + c]) * affine[2u * args.channels + c];
  }
}
