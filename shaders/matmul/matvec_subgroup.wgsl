// out = clamp(W·x + bias + residual) for few vectors x and packed weights W; for adapters that run on a CPU.
//
// Each lane owns ROWS rows of W and reads eight terms of each at a time, which takes one word of four-bit codes; the lanes
// together read the vectors' eight and the subgroup broadcasts them with constant indices.
import package::common::grid::linear_workgroup;
import package::common::matvec::{args, store, weight_layout, x};
import package::common::weights::{Eight, levels8, scale_of, GROUPED};

enable subgroups;

const SUBGROUP: u32 = 8;
// Rows of a lane: 1, 2 or 4.
const ROWS: u32 = 2;
// Vectors at once: 1, 2 or 4.
const VECTORS: u32 = 1;

// Arguments and bindings are common/matvec's.

// What the lane holds of a vector's eight terms. Beyond the last k it is zero.
fn load_x(vector: u32, k: u32) -> f32 {
  return select(0.0, x[min(vector, args.m - 1) * args.k + min(k, args.k - 1)], k < args.k);
}

fn product(w: Eight, a: f32, b: f32) -> f32 {
  let lo = vec4f(subgroupBroadcast(a, 0u), subgroupBroadcast(a, 1u), subgroupBroadcast(a, 2u), subgroupBroadcast(a, 3u));
  var hi: vec4f;
  if (SUBGROUP == 4) {
    hi = vec4f(subgroupBroadcast(b, 0u), subgroupBroadcast(b, 1u), subgroupBroadcast(b, 2u), subgroupBroadcast(b, 3u));
  } else {
    hi = vec4f(subgroupBroadcast(a, 4u % SUBGROUP), subgroupBroadcast(a, 5u % SUBGROUP), subgroupBroadcast(a, 6u % SUBGROUP), subgroupBroadcast(a, 7u % SUBGROUP));
  }
  return dot(w.lo, lo) + dot(w.hi, hi);
}

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  // A workgroup is one subgroup; the tile comes from it alone, so that the loop is uniform control flow.
  let group = linear_workgroup(wg, count);
  let first = group / args.tiles * VECTORS;
  if (first >= args.m) { return; }
  let row = group % args.tiles * (ROWS * SUBGROUP) + lane;
  let w = weight_layout();
  let last = args.rows - 1;

  var acc: array<array<f32, VECTORS>, ROWS>;
  for (var k = 0u; k < args.k; k += 8) {
    var a: array<f32, VECTORS>;
    var b: array<f32, VECTORS>;
    for (var v = 0u; v < VECTORS; v++) {
      a[v] = load_x(first + v, k + lane % 8);
      if (SUBGROUP == 4) { b[v] = load_x(first + v, k + 4 + lane % 8); }
    }
    for (var r = 0u; r < ROWS; r++) {
      let at = min(row + r * SUBGROUP, last);
      let levels = levels8(at, k, w);
      for (var v = 0u; v < VECTORS; v++) {
        let sum = product(levels, a[v], b[v]);
        if (GROUPED) { acc[r][v] += scale_of(at, k, w) * sum; } else { acc[r][v] += sum; }
      }
    }
  }

  for (var r = 0u; r < ROWS; r++) {
    for (var v = 0u; v < VECTORS; v++) { store(row + r * SUBGROUP, first + v, acc[r][v]); }
  }
}
