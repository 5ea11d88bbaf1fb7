// Quantizes x = [images][channels][h][w] into words of four channels with a border of zeros around every plane:
// [images][ceil(channels / 4)][out_h][out_w]. One invocation per word; quantize_plane_rows is for CPU adapters.
import package::common::grid::linear_workgroup;
import package::common::int8::{codes_of, pack_bytes};

override WG: u32 = 64;

struct Args {
  size: u32, // words of out
  channels: u32, words: u32, // words: of one pixel's channels
  h: u32, w: u32, out_h: u32, out_w: u32,
  top: i32, left: i32,
  scale: f32, low: f32, high: f32, shift: i32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = linear_workgroup(group, count) * WG + lane;
  if (i >= args.size) { return; }
  let row = i / args.out_w;
  let plane = row / args.out_h;
  let image = plane / args.words;
  let channel = 4 * (plane - image * args.words);
  // Below zero wraps to a huge number, so that one comparison finds both edges.
  let y = u32(i32(row - plane * args.out_h) - args.top);
  let column = u32(i32(i - row * args.out_w) - args.left);
  var codes = vec4i(-args.shift);
  if (y < args.h && column < args.w) {
    let c = min(channel + vec4u(0, 1, 2, 3), vec4u(args.channels - 1));
    let at = ((image * args.channels + c) * args.h + y) * args.w + column;
    let all = codes_of(vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), args.scale, args.low, args.high, args.shift);
    codes = select(codes, all, channel + vec4u(0, 1, 2, 3) < vec4u(args.channels));
  }
  out[i] = pack_bytes(codes);
}
