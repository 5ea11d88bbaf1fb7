// Moments of every channel of x [n, c, plane], in `splits` parts per channel that channel_statistics adds up.
//
// A workgroup walks a range of one channel's n * plane elements, one image's plane after the other. A lane sums around
// its first element, so that a mean far from zero costs no digits of the variance.
import package::common::grid::linear_workgroup;
import package::common::moments::{Moments, merge_moments};

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
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4f>; // [c, splits], count, mean, m2

var<workgroup> parts: array<Moments, WG>;

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

  var i = begin + lane;
  var p = i % args.plane;
  var at = (i / args.plane * args.channels + channel) * args.plane + p;
  let shift = x[at];
  var sum = T(0.0);
  var squares = T(0.0);
  var n = 0.0;
  for (; i < end; i += WG) {
    let d = x[at] - shift;
    sum += d;
    squares += d * d;
    n += 1.0;
    p += args.step_rest;
    let ends = p >= args.plane;
    p -= select(0u, args.plane, ends);
    at += args.step_at + select(0u, args.wrap, ends);
  }
  var mine = Moments(0.0, 0.0, 0.0);
  if (n > 0.0) {
    let offset = sum / n;
    let means = shift + offset;
    let mean = total(means) / LANES;
    let apart = means - mean;
    mine = Moments(n * LANES, mean, total(max(squares - sum * offset, T(0.0)) + n * apart * apart));
  }
  parts[lane] = mine;
  workgroupBarrier();
  for (var half = WG / 2; half > 0; half /= 2) {
    if (lane < half) { parts[lane] = merge_moments(parts[lane], parts[lane + half]); }
    workgroupBarrier();
  }
  if (lane == 0) {
    let all = parts[0];
    partial[linear] = vec4f(all.n, all.mean, all.m2, 0.0);
  }
}
