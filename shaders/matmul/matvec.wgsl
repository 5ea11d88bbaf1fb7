// out = clamp(W·x + bias + residual) for few vectors x and packed weights W; for GPUs, and wherever subgroups are missing.
//
// A workgroup computes ROWS rows for VECTORS vectors. Its invocations are ROWS x SLICES: neighbours own neighbouring rows,
// whose words lie next to one another, and the slices share the terms; their sums meet in workgroup memory.
import package::common::grid::linear_workgroup;
import package::common::matvec::{args, store, weight_layout, x};
import package::common::weights::{levels8, scale_of, GROUPED};

const ROWS: u32 = 32;
const SLICES: u32 = 8;
// Vectors at once: 1, 2 or 4.
const VECTORS: u32 = 1;
const WG: u32 = ROWS * SLICES;

// Arguments and bindings are common/matvec's.

var<workgroup> partial: array<f32, WG * VECTORS>;

// Four terms of a vector; beyond the last k they are zero.
fn load_x(vector: u32, k: u32) -> vec4f {
  let at = vec4u(k, k + 1, k + 2, k + 3);
  let i = min(vector, args.m - 1) * args.k + min(at, vec4u(args.k - 1));
  return select(vec4f(), vec4f(x[i.x], x[i.y], x[i.z], x[i.w]), at < vec4u(args.k));
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let group = linear_workgroup(wg, count);
  let first = group / args.tiles * VECTORS;
  if (first >= args.m) { return; }
  let row = group % args.tiles * ROWS + local % ROWS;
  let at = min(row, args.rows - 1);
  let w = weight_layout();

  var acc: array<f32, VECTORS>;
  for (var k = local / ROWS * 8; k < args.k; k += 8 * SLICES) {
    let levels = levels8(at, k, w);
    for (var v = 0u; v < VECTORS; v++) {
      let sum = dot(levels.lo, load_x(first + v, k)) + dot(levels.hi, load_x(first + v, k + 4));
      if (GROUPED) { acc[v] += scale_of(at, k, w) * sum; } else { acc[v] += sum; }
    }
  }
  for (var v = 0u; v < VECTORS; v++) { partial[v * WG + local] = acc[v]; }
  workgroupBarrier();

  if (local >= ROWS) { return; }
  for (var v = 0u; v < VECTORS; v++) {
    var sum = 0.0;
    for (var slice = 0u; slice < SLICES; slice++) { sum += partial[v * WG + slice * ROWS + local]; }
    store(row, first + v, sum);
  }
}
