// y = (x - mean) / sqrt(variance + epsilon) * scale + shift, per channel of x [n, c, plane], clamped where
// BOUNDED. A workgroup walks a range of one channel (see channel_moments), so that a lane loads the channel's four
// numbers once.
import package::common::grid::linear_workgroup;

struct Args {
  channels: u32, splits: u32,
  count: u32, plane: u32, // elements of a channel, and of one image's plane of it, in units of T
  span: u32, // units per split
  step_rest: u32, step_at: u32, wrap: u32, // WG % plane; distance of WG units where no plane ends, and what an end adds
  epsilon: f32, lo: f32, hi: f32,
}

override WG: u32 = 64;
alias T = vec4f;
const BOUNDED: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> shift: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let linear = linear_workgroup(group, groups);
  let channel = linear / args.splits;
  if (channel >= args.channels) { return; }
  let begin = linear % args.splits * args.span;
  let end = min(begin + args.span, args.count);

  let m = mean[channel];
  let factor = scale[channel] / sqrt(variance[channel] + args.epsilon);
  let b = shift[channel];
  var i = begin + lane;
  var p = i % args.plane;
  var at = (i / args.plane * args.channels + channel) * args.plane + p;
  for (; i < end; i += WG) {
    // Not x * factor + (b - m * factor): that cancels where the mean is large.
    var v = (x[at] - m) * factor + b;
    if (BOUNDED) {
      // Comparisons, so that a NaN stays visible.
      v = select(v, T(args.lo), v < T(args.lo));
      v = select(v, T(args.hi), v > T(args.hi));
    }
    y[at] = v;
    p += args.step_rest;
    let ends = p >= args.plane;
    p -= select(0u, args.plane, ends);
    at += args.step_at + select(0u, args.wrap, ends);
  }
}
