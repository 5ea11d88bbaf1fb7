// Writes the border of quantized planes [planes][h][w], words of zeros: what a convolution that writes codes leaves out.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // rows, and those of a workgroup
  h: u32, w: u32, top: u32, bottom: u32, left: u32, right: u32,
  word: u32,
}

override WG: u32 = 64;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var row = begin + lane; row < end; row += WG) {
    let y = row % args.h;
    let at = row * args.w;
    let inside = y >= args.top && y < args.h - args.bottom;
    let before = select(args.w, args.left, inside);
    for (var i = 0u; i < before; i++) { out[at + i] = args.word; }
    if (inside) {
      for (var i = args.w - args.right; i < args.w; i++) { out[at + i] = args.word; }
    }
  }
}
