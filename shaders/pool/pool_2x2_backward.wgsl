// dx of pool_2x2: dy goes to the first largest element of its block, or a quarter of it to each. Blocks do not overlap,
// so every block writes its own elements.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements of dy, and those of a workgroup
  ow: u32,
}

override WG: u32 = 64;
const MEAN: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<vec2f>; // not read for the mean
@group(0) @binding(3) var<storage, read_write> dx: array<vec2f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, groups) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let upper = i + i / args.ow * args.ow; // see pool_2x2
    let lower = upper + args.ow;
    let g = dy[i];
    if (MEAN) {
      dx[upper] = vec2f(0.25 * g);
      dx[lower] = vec2f(0.25 * g);
    } else {
      let a = x[upper];
      let b = x[lower];
      let right = !(a.y <= a.x);
      let top = select(a.x, a.y, right);
      let below = !(b.x <= top);
      let three = select(top, b.x, below);
      let last = !(b.y <= three);
      let in_row_1 = below | last;
      dx[upper] = select(vec2f(0.0), vec2f(g), vec2<bool>(!right & !in_row_1, right & !in_row_1));
      dx[lower] = select(vec2f(0.0), vec2f(g), vec2<bool>(below & !last, last));
    }
  }
}
