// Copies planes into larger zeroed ones: the padding of a convolution's input. Negative padding crops.
// Each invocation writes four consecutive elements of out = [planes][out_h][out_w].
import package::common::grid::linear_workgroup;
import package::common::divide::divide;

override WG: u32 = 64;

struct Args {
  h: u32, w: u32, out_h: u32, out_w: u32, size: u32, // size: elements of out
  top: i32, left: i32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = 4 * (linear_workgroup(group, count) * WG + lane);
  if (first >= args.size) { return; }
  let row = divide(first, args.out_w);
  var plane = divide(row, args.out_h);
  var out_y = row - plane * args.out_h;
  var out_x = first - row * args.out_w;
  for (var i = first; i < min(first + 4, args.size); i++) {
    // Below zero wraps to a huge number, so that one comparison finds both edges.
    let y = u32(i32(out_y) - args.top);
    let at = u32(i32(out_x) - args.left);
    var v = 0.0;
    if (y < args.h && at < args.w) { v = x[(plane * args.h + y) * args.w + at]; }
    out[i] = v;
    out_x++;
    if (out_x == args.out_w) {
      out_x = 0;
      out_y++;
      if (out_y == args.out_h) {
        out_y = 0;
        plane++;
      }
    }
  }
}
