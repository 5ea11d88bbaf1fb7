// Mean and (biased) variance of every channel from the moments of its parts, and the running statistics' step:
// running = momentum * running + (1 - momentum) * batch, as ONNX defines BatchNormalization in training mode.
import package::common::grid::linear_workgroup;
import package::common::moments::{Moments, merge_moments};

struct Args {
  channels: u32, splits: u32,
  momentum: f32,
}

override WG: u32 = 64;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> partial: array<vec4f>; // [c, splits]
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_variance: array<f32>;

var<workgroup> parts: array<Moments, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = linear_workgroup(group, groups);
  if (channel >= args.channels) { return; }
  var mine = Moments(0.0, 0.0, 0.0);
  for (var i = lane; i < args.splits; i += WG) {
    let part = partial[channel * args.splits + i];
    mine = merge_moments(mine, Moments(part.x, part.y, part.z));
  }
  parts[lane] = mine;
  workgroupBarrier();
  for (var half = WG / 2; half > 0; half /= 2) {
    if (lane < half) { parts[lane] = merge_moments(parts[lane], parts[lane + half]); }
    workgroupBarrier();
  }
  if (lane == 0) {
    let all = parts[0];
    let v = all.m2 / max(all.n, 1.0);
    mean[channel] = all.mean;
    variance[channel] = v;
    running_mean[channel] = args.momentum * running_mean[channel] + (1.0 - args.momentum) * all.mean;
    running_variance[channel] = args.momentum * running_variance[channel] + (1.0 - args.momentum) * v;
  }
}
