// Cooperation of LANES neighbouring invocations of a workgroup of WG (both powers of two, LANES <= WG) on one line of
// data: sum and maximum over their values, in a fixed order, returned to all of them. With LANES = 1 nothing is shared.
override WG: u32 = 64;
const LANES: u32 = 1u;

var<workgroup> shared_lines: array<f32, WG>;

fn sum_lanes(value: f32, lane: u32) -> f32 {
  if (LANES == 1u) { return value; }
  shared_lines[lane] = value;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    if (lane % LANES < width) {
      shared_lines[lane] += shared_lines[lane + width];
    }
    workgroupBarrier();
  }
  let total = shared_lines[lane - lane % LANES];
  workgroupBarrier(); // before the memory is used again
  return total;
}

fn max_lanes(value: f32, lane: u32) -> f32 {
  if (LANES == 1u) { return value; }
  shared_lines[lane] = value;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    if (lane % LANES < width) {
      shared_lines[lane] = max(shared_lines[lane], shared_lines[lane + width]);
    }
    workgroupBarrier();
  }
  let most = shared_lines[lane - lane % LANES];
  workgroupBarrier();
  return most;
}
