// C = clamp(alpha * A·B + beta * bias), f32, for few rows of A, and B whose columns lie term by term (weights as PyTorch
// keeps them); for GPUs, and wherever subgroups are missing. The lanes' sums meet in workgroup memory. See common/dots.
import package::common::grid::linear_workgroup;
import package::common::product::args;
import package::common::dots::{LANES, ROWS, lane_sums, store, tile_of};

var<workgroup> partial: array<vec4f, LANES * ROWS>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = tile_of(linear_workgroup(wg, count));
  if (tile.batch >= args.batches) { return; }
  let sums = lane_sums(tile, lane);
  partial[lane * ROWS] = sums.r0;
  if (ROWS > 1) { partial[lane * ROWS + 1] = sums.r1; }
  if (ROWS > 2) {
    partial[lane * ROWS + 2] = sums.r2;
    partial[lane * ROWS + 3] = sums.r3;
  }
  for (var half = LANES / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) {
      for (var r = 0u; r < ROWS; r++) { partial[lane * ROWS + r] += partial[(lane + half) * ROWS + r]; }
    }
  }
  workgroupBarrier();
  for (var r = 0u; r < ROWS; r++) { store(tile, r, lane, partial[r]); }
}
