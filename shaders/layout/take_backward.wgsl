// dx [outer, length, inner] of take: every element adds up dy [outer, count, inner] over the positions that took it.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements of dx, and those of a workgroup
  length: u32, count: u32, inner: u32,
}

override WG: u32 = 64;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>; // [length + 1], ranges of `positions`
@group(0) @binding(3) var<storage, read> positions: array<u32>; // [count], grouped by the index taken there
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, groups) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let row = i / args.inner;
    let outer = row / args.length;
    let index = row - outer * args.length;
    let base = outer * args.count;
    let column = i - row * args.inner;
    var sum = 0.0;
    for (var k = starts[index]; k < starts[index + 1]; k++) {
      sum += dy[(base + positions[k]) * args.inner + column];
    }
    dx[i] = sum;
  }
}
