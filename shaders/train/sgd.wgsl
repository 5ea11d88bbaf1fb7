// One step of stochastic gradient descent over a range of the weights' arena, as torch.optim.SGD (dampening 0):
//   g += decay w;  v = momentum v + g;  w -= rate (nesterov ? g + momentum v : v)
// A weight whose mask bit is 0 ends as +0 with momentum +0, whatever its gradient is (NaN included).
import package::common::grid::linear_workgroup;

struct Args {
  rate: f32, momentum: f32, decay: f32,
  max_norm: f32,
}

override WG: u32 = 64;
override PER: u32 = 1; // vectors per invocation
const NESTEROV: bool = false;
const MASKED: bool = true;
const CLIP: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> momentum: array<vec4f>;
@group(0) @binding(4) var<storage, read> mask: array<u32>; // one bit per weight, 1 keeps
@group(0) @binding(5) var<storage, read> segments: array<u32>; // per 64 weights: trainable, decays, rate group << 8
@group(0) @binding(6) var<storage, read> multipliers: array<f32>; // of the rate, by group
@group(0) @binding(7) var<storage, read> norm: array<f32>; // [1]: the gradient's norm

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = linear_workgroup(group, count) * WG * PER + lane;
  let end = min(first + WG * PER, arrayLength(&weights));
  for (var i = first; i < end; i += WG) {
    let segment = segments[i >> 4u];
    if ((segment & 1u) == 0u) { continue; }
    var w = weights[i];
    var g = gradients[i];
    if (CLIP) { g *= min(1.0, args.max_norm / (norm[0] + 1e-6)); }
    if ((segment & 2u) != 0u) { g += args.decay * w; }
    var v = args.momentum * momentum[i] + g;
    let rate = args.rate * multipliers[(segment >> 8u) & 15u];
    if (NESTEROV) { w -= rate * (g + args.momentum * v); } else { w -= rate * v; }
    if (MASKED) {
      let bits = vec4u(mask[i >> 3u] >> ((i & 7u) * 4u));
      let keep = (bits & vec4u(1u, 2u, 4u, 8u)) != vec4u(0u);
      w = select(vec4f(0.0), w, keep);
      v = select(vec4f(0.0), v, keep);
    }
    weights[i] = w;
    momentum[i] = v;
  }
}
