// First of the two passes of a resize: every row of an RGBA image to its new width, each sum rounded to a byte.
// Weights have 22 bits after the point, so that sums are exact and the pixels those of Pillow's (and the host's) resize.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // pixels of the result, and those of a workgroup
  width: u32, // of the result
  first_row: u32, // of the source: rows before it do not reach the window that is kept
  pitch: u32, // pixels from one row of the source to the next
  taps: u32, // weights per column of the result
}

override WG: u32 = 64;
const GREY: bool = false; // colours become their luminance before anything is averaged

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> pixels: array<u32>; // r, g, b, a from the low byte up
@group(0) @binding(2) var<storage, read> columns: array<i32>; // per column: first pixel, number of weights, weights
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

fn to_linear(byte: u32) -> f32 {
  let v = f32(byte) / 255.0;
  return select(pow((v + 0.055) / 1.055, 2.4), v / 12.92, v <= 0.04045);
}

// Luminance of the linear colours (ITU-R BT.709), back on the scale of sRGB.
fn grey(pixel: vec3u) -> vec3u {
  if (all(pixel == pixel.xxx)) { return pixel; }
  let y = dot(vec3f(to_linear(pixel.x), to_linear(pixel.y), to_linear(pixel.z)), vec3f(0.2126, 0.7152, 0.0722));
  let v = select(1.055 * pow(y, 1.0 / 2.4) - 0.055, 12.92 * y, y <= 0.0031308);
  return vec3u(u32(round(clamp(v, 0.0, 1.0) * 255.0)));
}

fn pixel_at(i: u32) -> vec3i {
  let packed = pixels[i];
  let bytes = vec3u(packed & 255u, (packed >> 8u) & 255u, (packed >> 16u) & 255u);
  if (GREY) { return vec3i(grey(bytes)); }
  return vec3i(bytes);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let y = i / args.width;
    let table = (i - y * args.width) * (args.taps + 2u);
    let start = (args.first_row + y) * args.pitch + u32(columns[table]);
    var sum = vec3i(1 << 21u);
    for (var tap = 0u; tap < u32(columns[table + 1u]); tap++) {
      sum += pixel_at(start + tap) * columns[table + 2u + tap];
    }
    let bytes = vec3u(clamp(sum >> vec3u(22u), vec3i(0), vec3i(255)));
    out[i] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u);
  }
}
