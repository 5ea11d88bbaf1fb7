// Keeps the N best of every M elements along one dimension of a parameter, and clears the mask bits of the others. A
// last group that is shorter keeps its share, rounded up. Of equals the ones with the higher index are kept.
import package::common::grid::linear_workgroup;
import package::common::score_key::score_key;

struct Args {
  first: u32, // element of the parameter in the range
  outer: u32, length: u32, inner: u32, // the parameter as [outer][length][inner]; groups run along `length`
  keep: u32, size: u32, // N and M
}

const WG: u32 = 64u;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> scores: array<u32>; // the bits of f32
@group(0) @binding(2) var<storage, read_write> mask: array<atomic<u32>>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let groups = (args.length + args.size - 1u) / args.size;
  let i = linear_workgroup(wg, count) * WG + lane;
  if (i >= args.outer * groups * args.inner) { return; }
  let at = i % args.inner;
  let group = (i / args.inner) % groups;
  let row = i / args.inner / groups;
  let begin = group * args.size;
  let members = min(args.size, args.length - begin);
  let keep = (args.keep * members + args.size - 1u) / args.size;
  let first = args.first + (row * args.length + begin) * args.inner + at;
  var keys: array<u32, 32>;
  for (var j = 0u; j < members; j++) {
    let element = first + j * args.inner;
    let word = atomicLoad(&mask[element / 32u]);
    keys[j] = score_key(scores[element], ((word >> (element & 31u)) & 1u) != 0u);
  }
  for (var j = 0u; j < members; j++) {
    let key = keys[j];
    var better = 0u;
    for (var other = 0u; other < members; other++) {
      let wins = keys[other] > key || (keys[other] == key && other > j);
      better += select(0u, 1u, wins);
    }
    if (better >= keep) {
      let element = first + j * args.inner;
      atomicAnd(&mask[element / 32u], ~(1u << (element & 31u)));
    }
  }
}
