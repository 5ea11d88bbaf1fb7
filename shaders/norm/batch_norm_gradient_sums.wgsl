// Sums of dy and of dy * (x - mean) over every channel of [n, c, plane], in `splits` parts per channel that
// batch_norm_gradient_factors adds up. A workgroup walks a range of one channel (see channel_moments).
import package::common::grid::linear_workgroup;

struct Args {
  channels: u32, splits: u32,
  count: u32, plane: u32, // elements of a channel, and of one image's plane of it, in units of T
  span: u32, // units per split
  step_rest: u32, step_at: u32, wrap: u32, // WG % plane; distance of WG units where no plane ends, and what an end adds
}

override WG: u32 = 64;
// f32, or vec4f where planes are whole vectors; LANES is how many numbers that is.
alias T = vec4f;
const LANES: f32 = 4.0;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read> x: array<T>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec2f>; // [c, splits]

var<workgroup> parts: array<vec2f, WG>;

fn total(v: T) -> f32 {
  return dot(vec4f(v), vec4f(LANES / 4.0));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let linear = linear_workgroup(group, groups);
  let channel = linear / args.splits;
  if (channel >= args.channels) { return; }
  let begin = linear % args.splits * args.span;
  let end = min(begin + args.span, args.count);

  let m = mean[channel];
  var i = begin + lane;
  var p = i % args.plane;
  var at = (i / args.plane * args.channels + channel) * args.plane + p;
  var sum = T(0.0);
  var products = T(0.0);
  for (; i < end; i += WG) {
    let g = dy[at];
    sum += g;
    products += g * (x[at] - m);
    p += args.step_rest;
    let ends = p >= args.plane;
    p -= select(0u, args.plane, ends);
    at += args.step_at + select(0u, args.wrap, ends);
  }
  parts[lane] = vec2f(total(sum), total(products));
  workgroupBarrier();
  for (var half = WG / 2; half > 0; half /= 2) {
    if (lane < half) { parts[lane] += parts[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0) { partial[linear] = parts[0]; }
}
