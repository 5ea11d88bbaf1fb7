// One step of Adam over a range of the weights' arena, as torch.optim.Adam, or as AdamW where DECOUPLED:
//   g += decay w (Adam), or w -= rate decay w (AdamW)
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   w -= rate m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
// or, where a segment's step is relative, w -= |w| times that: the step on the logarithm of w.
// The corrections come from the host, where the powers are taken in float64. A weight whose mask bit is 0 ends as +0
// with moments +0, whatever its gradient is (NaN included).
import package::common::grid::linear_workgroup;

struct Args {
  rate: f32, beta1: f32, beta2: f32,
  rest1: f32, rest2: f32, // 1 - beta
  correction1: f32, // 1 / (1 - beta1^t)
  correction2: f32, // 1 / sqrt(1 - beta2^t)
  epsilon: f32, decay: f32,
  max_norm: f32,
}

override WG: u32 = 64;
override PER: u32 = 1; // vectors per invocation
const DECOUPLED: bool = false;
const MASKED: bool = true;
const CLIP: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> moment1: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> moment2: array<vec4f>;
@group(0) @binding(5) var<storage, read> mask: array<u32>; // one bit per weight, 1 keeps
@group(0) @binding(6) var<storage, read> segments: array<u32>; // per 64 weights: trainable, decays, relative, rate group << 8
@group(0) @binding(7) var<storage, read> multipliers: array<f32>; // of the rate, by group
@group(0) @binding(8) var<storage, read> norm: array<f32>; // [1]: the gradient's norm

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = linear_workgroup(group, count) * WG * PER + lane;
  let end = min(first + WG * PER, arrayLength(&weights));
  for (var i = first; i < end; i += WG) {
    let segment = segments[i >> 4u];
    if ((segment & 1u) == 0u) { continue; }
    let rate = args.rate * multipliers[(segment >> 8u) & 15u];
    var w = weights[i];
    var g = gradients[i];
    if (CLIP) { g *= min(1.0, args.max_norm / (norm[0] + 1e-6)); }
    if ((segment & 2u) != 0u) {
      if (DECOUPLED) { w *= 1.0 - rate * args.decay; } else { g += args.decay * w; }
    }
    var m = args.beta1 * moment1[i] + args.rest1 * g;
    var v = args.beta2 * moment2[i] + args.rest2 * g * g;
    let unit = select(vec4f(1.0), abs(w), (segment & 4u) != 0u);
    w -= unit * rate * args.correction1 * m / (sqrt(v) * args.correction2 + args.epsilon);
    if (MASKED) {
      let bits = vec4u(mask[i >> 3u] >> ((i & 7u) * 4u));
      let keep = (bits & vec4u(1u, 2u, 4u, 8u)) != vec4u(0u);
      w = select(vec4f(0.0), w, keep);
      m = select(vec4f(0.0), m, keep);
      v = select(vec4f(0.0), v, keep);
    }
    weights[i] = w;
    moment1[i] = m;
    moment2[i] = v;
  }
}
