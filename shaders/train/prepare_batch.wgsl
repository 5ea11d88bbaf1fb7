// Raw pixels to the network's input: out = (p*scale - mean[c]) / std[c], with a shift and a horizontal flip per sample.
// `affine` holds, for each channel of the result, mean/scale as a high and a low part and then scale/std, folded in
// float64: ((p - high) - low) * factor stays accurate where p is close to the mean.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements of the result, and those of a workgroup
  channels: u32, height: u32, width: u32, // of a sample of the result
  source_height: u32, source_width: u32,
  reverse: u32, // 1: the result's channels are the source's in reverse order (RGB to BGR)
}

override WG: u32 = 64;
const FLOAT: bool = false; // pixels are f32 instead of bytes, four in a u32
const AUGMENT: bool = true;
const NHWC: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> pixels: array<u32>; // [n][C][H][W] of the source
@group(0) @binding(2) var<storage, read> augment: array<i32>; // [n][4]: dx, dy, flip, 0
@group(0) @binding(3) var<storage, read> affine: array<f32>; // [3][C]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

fn pixel(i: u32) -> f32 {
  if (FLOAT) { return bitcast<f32>(pixels[i]); }
  return f32((pixels[i >> 2u] >> ((i & 3u) * 8u)) & 255u);
}

fn prepared(i: u32) -> f32 {
  // The innermost, second and outermost of a sample's three axes, and the sample.
  let inner = select(args.width, args.channels, NHWC);
  let middle = select(args.height, args.width, NHWC);
  let outer = select(args.channels, args.height, NHWC);
  let row = i / inner;
  let plane = row / middle;
  let rest = plane / outer;
  let at = vec3u(i - row * inner, row - plane * middle, plane - rest * outer);
  let c = select(at.z, at.x, NHWC);
  let x = select(at.x, at.y, NHWC);
  let y = select(at.y, at.z, NHWC);
  // A crop window at (dx, dy) of the source, then the flip, as torchvision's RandomCrop and RandomHorizontalFlip.
  var sx = i32(x);
  var sy = i32(y);
  if (AUGMENT) {
    if (augment[4u * rest + 2u] != 0) { sx = i32(args.width) - 1 - sx; }
    sx += augment[4u * rest];
    sy += augment[4u * rest + 1u];
  }
  let source_channel = select(c, args.channels - 1u - c, args.reverse != 0u);
  var p = 0.0; // what lies outside is a raw zero, normalised like any other pixel
  if (sx >= 0 && sy >= 0 && sx < i32(args.source_width) && sy < i32(args.source_height)) {
    p = pixel(((rest * args.channels + source_channel) * args.source_height + u32(sy)) * args.source_width + u32(sx));
  }
  return ((p - affine[c]) - affine[args.channels + c]) * affine[2u * args.channels + c];
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) { out[i] = prepared(i); }
}
