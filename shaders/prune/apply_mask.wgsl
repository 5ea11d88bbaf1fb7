// values[i] = +0 where the mask's bit is 0, NaN included.
import package::common::grid::linear_workgroup;

override WG: u32 = 64;
override PER: u32 = 1; // vectors per invocation

@group(0) @binding(0) var<storage, read> mask: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = linear_workgroup(group, count) * WG * PER + lane;
  let end = min(first + WG * PER, arrayLength(&values));
  for (var i = first; i < end; i += WG) {
    let bits = vec4u(mask[i >> 3u] >> ((i & 7u) * 4u));
    let keep = (bits & vec4u(1u, 2u, 4u, 8u)) != vec4u(0u);
    values[i] = select(vec4f(0.0), values[i], keep);
  }
}
