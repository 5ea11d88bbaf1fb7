// Copies planes into larger zeroed ones: the padding of a convolution's input. Negative padding crops.
// out = [planes][out_h][out_w] as vectors of four elements, one per invocation; conv_pad_rows is for CPU adapters.
import package::common::grid::linear_workgroup;

override WG: u32 = 64;

struct Args {
  h: u32, w: u32, out_h: u32, out_w: u32, quads: u32, // quads: vectors in out
  top: i32, left: i32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

// The plane, row and column of the element after this one.
fn after(at: vec3u) -> vec3u {
  let column = at.z + 1;
  let row_done = column == args.out_w;
  let row = at.y + u32(row_done);
  let plane_done = row == args.out_h;
  return vec3u(at.x + u32(plane_done), select(row, 0u, plane_done), select(column, 0u, row_done));
}

fn value(at: vec3u) -> f32 {
  // Below zero wraps to a huge number, so that one comparison finds both edges.
  let y = u32(i32(at.y) - args.top);
  let column = u32(i32(at.z) - args.left);
  let inside = y < args.h && column < args.w;
  return select(0.0, x[select(0u, (at.x * args.h + y) * args.w + column, inside)], inside);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let quad = linear_workgroup(group, count) * WG + lane;
  if (quad >= args.quads) { return; }
  let row = 4 * quad / args.out_w;
  let plane = row / args.out_h;
  let at = vec3u(plane, row - plane * args.out_h, 4 * quad - row * args.out_w);
  let at1 = after(at);
  let at2 = after(at1);
  let at3 = after(at2);
  out[quad] = vec4f(value(at), value(at1), value(at2), value(at3));
}
