// C = clamp(alpha * A·B + beta * bias), f32, for few rows of A, and B whose columns lie term by term (weights as PyTorch
// keeps them); for adapters that run on a CPU. A workgroup is a subgroup. See common/dots.
import package::common::grid::linear_workgroup;
import package::common::product::args;
import package::common::dots::{LANES, ROWS, Tile, WIDE, lane_sums, store, tile_of};

enable subgroups;

fn total(sums: vec4f) -> vec4f {
  if (LANES == 4) {
    let pairs = sums + quadSwapX(sums);
    return pairs + quadSwapY(pairs);
  }
  return subgroupAdd(sums);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let tile = tile_of(linear_workgroup(wg, count));
  if (tile.batch >= args.batches) { return; }
  let sums = lane_sums(tile, lane);
  store(tile, 0, lane, total(sums.r0));
  if (WIDE) { store(Tile(tile.batch, tile.split, tile.row, tile.column + 4), 0, lane, total(sums.r1)); }
  if (ROWS > 1) { store(tile, 1, lane, total(sums.r1)); }
  if (ROWS > 2) {
    store(tile, 2, lane, total(sums.r2));
    store(tile, 3, lane, total(sums.r3));
  }
}
