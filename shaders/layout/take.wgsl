// y [outer, count, inner] = x [outer, length, inner] at the given indices along the middle axis.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements of y, and those of a workgroup
  length: u32, count: u32, inner: u32,
}

override WG: u32 = 64;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>; // [count], each below length
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, groups) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let row = i / args.inner;
    let outer = row / args.count;
    y[i] = x[(outer * args.length + indices[row - outer * args.count]) * args.inner + i - row * args.inner];
  }
}
