// Clears the mask bits of the elements below the threshold of their group, and of those at the threshold up to the index
// that the selection ended with. One invocation per word, so that no two write the same.
import package::common::grid::linear_workgroup;
import package::common::score_key::score_key;

struct Args {
  tiles: u32,
  start: u32, // of this range in its arena
}

const WG: u32 = 64u;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> scores: array<u32>; // the bits of f32
@group(0) @binding(2) var<storage, read> tiles: array<vec4u>; // first element of the range, elements, group, 0
@group(0) @binding(3) var<storage, read> states: array<vec4u>; // per group: key, index, 0, active
@group(0) @binding(4) var<storage, read_write> mask: array<u32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let number = linear_workgroup(group, count);
  if (number >= args.tiles) { return; }
  let tile = tiles[number];
  let state = states[tile.z];
  if (state.w == 0u) { return; }
  let words = (tile.y + 31u) / 32u;
  for (var word = lane; word < words; word += WG) {
    let first = tile.x + 32u * word;
    let bits = min(32u, tile.y - 32u * word);
    let old = mask[first / 32u];
    var kept = old;
    for (var bit = 0u; bit < bits; bit++) {
      let key = score_key(scores[first + bit], ((old >> bit) & 1u) != 0u);
      let tied = key == state.x && args.start + first + bit <= state.y;
      if (key < state.x || tied) { kept &= ~(1u << bit); }
    }
    mask[first / 32u] = kept;
  }
}
