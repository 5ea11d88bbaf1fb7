// out[i] = alpha * a[i] + beta * b[i]; equal shapes.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32,
  alpha: f32,
  beta: f32,
}

override WG: u32 = 64;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = linear_workgroup(group, count) * WG + lane;
  if (i < args.n) {
    out[i] = args.alpha * a[i] + args.beta * b[i];
  }
}
