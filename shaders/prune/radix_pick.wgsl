// After each counting pass, for each group: the 8 bits of the k-th smallest element, and how many are still to be
// removed among those that share them. Leaves the histogram at zero for the next pass.
import package::common::grid::linear_workgroup;

struct Args {
  groups: u32,
  shift: u32,
  phase: u32, // 0: begin; 1: bits of the key; 2: bits of the index
}

const WG: u32 = 256u;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> counts: array<u32>; // [groups]: how many elements to remove
@group(0) @binding(2) var<storage, read_write> states: array<vec4u>; // per group: key, index, still to remove, active
@group(0) @binding(3) var<storage, read_write> histogram: array<u32>; // [groups][256]

var<workgroup> bins: array<u32, 256>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = linear_workgroup(wg, count);
  if (group < args.groups) {
    bins[lane] = histogram[group * 256u + lane];
    histogram[group * 256u + lane] = 0u;
  }
  workgroupBarrier();
  if (lane != 0u || group >= args.groups) { return; }
  if (args.phase == 0u) {
    let wanted = counts[group];
    states[group] = vec4u(0u, 0u, wanted, select(0u, 1u, wanted > 0u));
    return;
  }
  var state = states[group];
  if (state.w == 0u) { return; }
  var total = 0u;
  for (var d = 0u; d < 256u; d++) { total += bins[d]; }
  if (total == 0u) {
    states[group].w = 0u; // a group without elements
    return;
  }
  let wanted = min(state.z, total);
  var before = 0u;
  var digit = 0u;
  for (var d = 0u; d < 256u; d++) {
    let reached = before + bins[d];
    if (reached >= wanted) {
      digit = d;
      break;
    }
    before = reached;
  }
  state.z = wanted - before;
  if (args.phase == 1u) { state.x |= digit << args.shift; } else { state.y |= digit << args.shift; }
  states[group] = state;
}
