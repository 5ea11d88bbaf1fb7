// One pass of a radix selection: how many elements of each group have each value of the 8 bits above `shift`, among
// those whose higher bits are the ones picked so far. By the scores' keys first; then, among the elements whose key is
// the threshold, by their index. Counting with integers, so that the order of the additions does not matter.
import package::common::grid::linear_workgroup;
import package::common::score_key::score_key;

struct Args {
  tiles: u32,
  start: u32, // of this range in its arena
  shift: u32,
  higher: u32, // the bits above the 8
}

const WG: u32 = 256u;
const BY_INDEX: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> scores: array<u32>; // the bits of f32
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read> tiles: array<vec4u>; // first element of the range, elements, group, 0
@group(0) @binding(4) var<storage, read> states: array<vec4u>; // per group: key, index, still to remove, active
@group(0) @binding(5) var<storage, read_write> histogram: array<atomic<u32>>; // [groups][256]

var<workgroup> bins: array<atomic<u32>, 256>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let number = linear_workgroup(group, count);
  atomicStore(&bins[lane], 0u);
  workgroupBarrier();
  let tile = tiles[min(number, args.tiles - 1u)];
  let elements = select(0u, tile.y, number < args.tiles);
  let state = states[tile.z];
  for (var j = lane; j < elements; j += WG) {
    let i = tile.x + j;
    let kept = ((mask[i >> 5u] >> (i & 31u)) & 1u) != 0u;
    let key = score_key(scores[i], kept);
    if (BY_INDEX) {
      let index = args.start + i;
      if (key == state.x && (index & args.higher) == state.y) { atomicAdd(&bins[(index >> args.shift) & 255u], 1u); }
    } else if ((key & args.higher) == state.x) {
      atomicAdd(&bins[(key >> args.shift) & 255u], 1u);
    }
  }
  workgroupBarrier();
  let found = atomicLoad(&bins[lane]);
  if (found > 0u) { atomicAdd(&histogram[tile.z * 256u + lane], found); }
}
