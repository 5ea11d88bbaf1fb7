// out[i] = alpha * a[i] + beta * b[i]; equal shapes.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements in units of T, and those of a workgroup
  alpha: f32,
  beta: f32,
}

override WG: u32 = 64;
// vec4f where the elements are whole vectors.
alias T = vec4f;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<T>;
@group(0) @binding(3) var<storage, read_write> out: array<T>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    out[i] = args.alpha * a[i] + args.beta * b[i];
  }
}
