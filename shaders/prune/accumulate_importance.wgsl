// The importance of every weight of an arena's range, from its value and its gradient (src/kernels/accumulateImportance.ts
// names the kinds): scores are set by KIND 0 and 4, added to by the others.
import package::common::grid::linear_workgroup;

struct Args {
  weight: f32,
}

override WG: u32 = 64;
override PER: u32 = 1; // vectors per invocation
const KIND: u32 = 1u;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> scores: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = linear_workgroup(group, count) * WG * PER + lane;
  let end = min(first + WG * PER, arrayLength(&scores));
  for (var i = first; i < end; i += WG) {
    switch KIND {
      case 0u: { scores[i] = args.weight * abs(weights[i]); } // magnitude
      case 2u: { scores[i] += args.weight * abs(weights[i] * gradients[i]); } // Taylor
      case 3u: { scores[i] += args.weight * gradients[i] * gradients[i]; } // Fisher: E[g^2]
      case 4u: { scores[i] = 0.5 * args.weight * weights[i] * weights[i] * scores[i]; } // Fisher: w^2 E[g^2] / 2
      default: { scores[i] += args.weight * abs(gradients[i]); } // gradient
    }
  }
}
