// conv_pad for CPU adapters: an invocation copies whole rows, so that hardly anything is computed per element.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // rows of out, and those of a workgroup
  h: u32, out_h: u32, out_w: u32,
  top: i32,
  units: u32, // of T in a row of x
  first: u32, after: u32, skipped: u32, // columns of out that come from x: first .. after; elements of x before them
}

override WG: u32 = 8;
// vec4f where rows are whole vectors and none is cropped; LANES is how many numbers that is.
alias T = f32;
const LANES: u32 = 1u;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var row = begin + lane; row < end; row += WG) {
    let plane = row / args.out_h;
    // Below zero wraps to a huge number, so that one comparison finds both edges.
    let y = u32(i32(row - plane * args.out_h) - args.top);
    let inside = y < args.h;
    let target_row = row * args.out_w;
    for (var c = 0u; c < args.first; c++) { out[target_row + c] = 0.0; }
    var from_x = select(0u, (plane * args.h + y) * args.units + args.skipped, inside);
    if (LANES == 4u) {
      for (var c = args.first; c < args.after; c += 4u) {
        let v = select(vec4f(0.0), vec4f(x[from_x]), inside);
        let at = target_row + c;
        out[at] = v.x;
        out[at + 1u] = v.y;
        out[at + 2u] = v.z;
        out[at + 3u] = v.w;
        from_x++;
      }
    } else {
      for (var c = args.first; c < args.after; c++) {
        out[target_row + c] = select(0.0, vec4f(x[from_x]).x, inside);
        from_x++;
      }
    }
    for (var c = args.after; c < args.out_w; c++) { out[target_row + c] = 0.0; }
  }
}
