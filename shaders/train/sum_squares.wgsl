// partials[first + workgroup] = sum of the squares of 4096 gradients: those that an update will use (trainable, kept).
import package::common::grid::linear_workgroup;

struct Args {
  first: u32,
}

const WG: u32 = 64u;
const VECTORS: u32 = 1024u; // vec4 per workgroup
const MASKED: bool = true;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read> segments: array<u32>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;

var<workgroup> scratch: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = linear_workgroup(group, count);
  let vectors = arrayLength(&gradients);
  let next = tile * VECTORS + VECTORS;
  let end = min(next, vectors);
  var sum = 0.0;
  for (var i = tile * VECTORS + lane; i < end; i += WG) {
    let segment = segments[i >> 4u];
    if ((segment & 1u) != 0u) {
      var g = gradients[i];
      if (MASKED) {
        let bits = vec4u(mask[i >> 3u] >> ((i & 7u) * 4u));
        let keep = (bits & vec4u(1u, 2u, 4u, 8u)) != vec4u(0u);
        g = select(vec4f(0.0), g, keep);
      }
      sum += dot(g, g);
    }
  }
  scratch[lane] = sum;
  workgroupBarrier();
  for (var stride = WG / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) { scratch[lane] += scratch[lane + stride]; }
    workgroupBarrier();
  }
  if (lane == 0u && tile * VECTORS < vectors) { partials[args.first + tile] = scratch[0]; }
}
