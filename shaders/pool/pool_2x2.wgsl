// y [planes, oh, ow] = the largest (or the mean) of every 2x2 block of x [planes, 2 oh, 2 ow]. The common case of
// max_pool and average_pool: half the memory accesses, no tests.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements of y, and those of a workgroup
  ow: u32,
}

override WG: u32 = 64;
const MEAN: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Not max: a NaN has a chance to stay visible.
fn larger(a: f32, b: f32) -> f32 {
  return select(b, a, b <= a);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, groups) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    // Rows of y are numbered through all planes; row r lies over the rows 2r and 2r + 1 of x, of ow pairs each.
    let upper = i + i / args.ow * args.ow;
    let a = x[upper];
    let b = x[upper + args.ow];
    if (MEAN) {
      y[i] = 0.25 * (a.x + a.y + b.x + b.y);
    } else {
      y[i] = larger(larger(larger(a.x, a.y), b.x), b.y);
    }
  }
}
