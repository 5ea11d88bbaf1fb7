// From the sums of batch_norm_gradient_sums: gradients by scale and shift, and per channel the factors of
// dx = f.x * dy + f.y * (x - f.w) + f.z.
//
// With s = 1 / sqrt(variance + epsilon) over m elements: dshift = sum dy, dscale = s * sum dy * (x - mean). Where mean and
// variance are the batch's own, dx = scale * s * (dy - dshift / m - (x - mean) * s * dscale / m) (Ioffe & Szegedy 2015,
// section 3); where they are constants, dx = scale * s * dy.
import package::common::grid::linear_workgroup;

struct Args {
  channels: u32, splits: u32,
  epsilon: f32,
  per_element: f32, // 1 / m, or 0 where mean and variance are constants
}

override WG: u32 = 64;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> partial: array<vec2f>; // [c, splits]
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> variance: array<f32>;
@group(0) @binding(5) var<storage, read_write> dscale: array<f32>;
@group(0) @binding(6) var<storage, read_write> dshift: array<f32>;
@group(0) @binding(7) var<storage, read_write> factors: array<vec4f>;

var<workgroup> parts: array<vec2f, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = linear_workgroup(group, groups);
  if (channel >= args.channels) { return; }
  var mine = vec2f(0.0);
  for (var i = lane; i < args.splits; i += WG) { mine += partial[channel * args.splits + i]; }
  parts[lane] = mine;
  workgroupBarrier();
  for (var half = WG / 2; half > 0; half /= 2) {
    if (lane < half) { parts[lane] += parts[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0) {
    let s = 1.0 / sqrt(variance[channel] + args.epsilon);
    let a = scale[channel] * s;
    let by_shift = parts[0].x;
    let by_scale = parts[0].y * s;
    dshift[channel] = by_shift;
    dscale[channel] = by_scale;
    factors[channel] = vec4f(a, -a * s * by_scale * args.per_element, -a * by_shift * args.per_element, mean[channel]);
  }
}
