// out[g] = max(scale * sum over s of partials[g][s], floor), or the square root of it: the second pass of a split sum.
// LANES invocations share a group; the order of the sums is fixed.

struct Args {
  groups: u32, splits: u32,
  scale: f32, lowest: f32,
}

const LANES: u32 = 64u; // a power of two
const ROWS: u32 = 1u; // groups per workgroup
const WG: u32 = 64u; // LANES * ROWS
const ROOT: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

var<workgroup> scratch: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let group = (wg.x + wg.y * groups.x) * ROWS + local / LANES;
  let splits = select(0u, args.splits, group < args.groups);
  var sum = 0.0;
  for (var s = lane; s < splits; s += LANES) { sum += partials[group * args.splits + s]; }
  if (LANES > 1u) {
    scratch[local] = sum;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
      if (lane < stride) { scratch[local] += scratch[local + stride]; }
      workgroupBarrier();
    }
    sum = scratch[local];
  }
  if (lane == 0u && group < args.groups) {
    let value = max(args.scale * sum, args.lowest);
    out[group] = select(value, sqrt(value), ROOT);
  }
}
