// quantize_planes for CPU adapters: an invocation makes whole rows of out, so that little is computed per word.
import package::common::grid::linear_workgroup;
import package::common::int8::{codes_of, pack_bytes};

struct Args {
  n: u32, span: u32, // rows of out, and those of a workgroup
  channels: u32, words: u32, // words: of one pixel's channels
  h: u32, w: u32, out_h: u32, out_w: u32, // w in units of T
  top: i32, left: u32,
  scale: f32, low: f32, high: f32, shift: i32,
}

override WG: u32 = 8;
// vec4f where rows of x are whole vectors; LANES is how many numbers that is.
alias T = f32;
const LANES: u32 = 1u;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

// Channels behind the last one are zero.
fn word(x: vec4f, real: vec4<bool>) -> u32 {
  let codes = codes_of(x, args.scale, args.low, args.high, args.shift);
  return pack_bytes(select(vec4i(-args.shift), codes, real));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  let nothing = pack_bytes(vec4i(-args.shift));
  for (var row = begin + lane; row < end; row += WG) {
    let plane = row / args.out_h;
    let image = plane / args.words;
    let channel = 4 * (plane - image * args.words);
    // Below zero wraps to a huge number, so that one comparison finds both edges.
    let y = u32(i32(row - plane * args.out_h) - args.top);
    var at = row * args.out_w;
    let after = at + args.out_w;
    if (y < args.h) {
      for (var c = 0u; c < args.left; c++) {
        out[at] = nothing;
        at++;
      }
      let real = channel + vec4u(0, 1, 2, 3) < vec4u(args.channels);
      let c = min(channel + vec4u(0, 1, 2, 3), vec4u(args.channels - 1));
      var x_at = ((image * args.channels + c) * args.h + y) * args.w;
      for (var i = 0u; i < args.w; i++) {
        let a = vec4f(x[x_at.x]);
        let b = vec4f(x[x_at.y]);
        let c = vec4f(x[x_at.z]);
        let d = vec4f(x[x_at.w]);
        x_at += 1u;
        out[at] = word(vec4f(a.x, b.x, c.x, d.x), real);
        if (LANES == 4) {
          out[at + 1] = word(vec4f(a.y, b.y, c.y, d.y), real);
          out[at + 2] = word(vec4f(a.z, b.z, c.z, d.z), real);
          out[at + 3] = word(vec4f(a.w, b.w, c.w, d.w), real);
        }
        at += LANES;
      }
    }
    for (; at < after; at++) { out[at] = nothing; }
  }
}
