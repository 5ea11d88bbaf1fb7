// dx = f.x * dy + f.y * (x - f.w) + f.z, with the factors f of every channel from batch_norm_gradient_factors. A
// workgroup walks a range of one channel of [n, c, plane] (see channel_moments).
import package::common::grid::linear_workgroup;

struct Args {
  channels: u32, splits: u32,
  count: u32, plane: u32, // elements of a channel, and of one image's plane of it, in units of T
  span: u32, // units per split
  step_rest: u32, step_at: u32, wrap: u32, // WG % plane; distance of WG units where no plane ends, and what an end adds
}

override WG: u32 = 64;
alias T = vec4f;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read> x: array<T>;
@group(0) @binding(3) var<storage, read> factors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<T>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let linear = linear_workgroup(group, groups);
  let channel = linear / args.splits;
  if (channel >= args.channels) { return; }
  let begin = linear % args.splits * args.span;
  let end = min(begin + args.span, args.count);

  let f = factors[channel];
  var i = begin + lane;
  var p = i % args.plane;
  var at = (i / args.plane * args.channels + channel) * args.plane + p;
  for (; i < end; i += WG) {
    dx[at] = f.x * dy[at] + f.y * (x[at] - f.w) + f.z;
    p += args.step_rest;
    let ends = p >= args.plane;
    p -= select(0u, args.plane, ends);
    at += args.step_at + select(0u, args.wrap, ends);
  }
}
