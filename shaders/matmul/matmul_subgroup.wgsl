// C = clamp(alpha * A·B + beta * bias), f32, one 16-row tile per subgroup; for adapters that run on a CPU.
//
// Software adapters turn every storage load into a guarded scalar load per lane, so the loop is built to
// load little per multiply-add: lane r reads four consecutive k of row r and the subgroup broadcasts them
// with constant indices; each lane owns four columns. No workgroup memory, no barrier.
// A, B and C carry strides for both of their axes, so a transposed operand is the same kernel.
// K can be split: split s sums k in [s*k_chunk, (s+1)*k_chunk) into its own copy of the output
// (`reduce_splits` adds the copies in a fixed order).
import package::common::grid::linear_workgroup;
import package::common::madd::madd;
import package::common::bounds::bounded;

enable subgroups;

const SUBGROUP: u32 = 8;
// Rows per tile: 1, 2, 4, 8 or 16.
const ROWS: u32 = 16;
override WG: u32 = 32;

struct Args {
  m: u32, n: u32, k: u32,
  a_offset: u32, a_batch: u32, a_m: u32, a_k: u32,
  b_offset: u32, b_batch: u32, b_k: u32, b_n: u32,
  out_offset: u32, out_batch: u32, out_m: u32, out_n: u32,
  bias_m: u32, bias_n: u32, // strides of the bias; 0 broadcasts it
  k_chunk: u32, splits: u32, out_split: u32,
  tiles_n: u32, plane_groups: u32, batches: u32, // a plane is one split of one product
  alpha: f32, beta: f32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> b4: array<vec4f>; // b again
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read> a4: array<vec4f>; // a again

// Rows of A, and of B, are whole vectors: one load instead of four.
const VECTOR_A: bool = false;
const VECTOR_B: bool = false;

// Registers that hold the tile's column block of A: row r sits in register r / SUBGROUP, lane r % SUBGROUP.
const HELD: u32 = (ROWS + SUBGROUP - 1) / SUBGROUP;

// A row or column past the edge reads the last one instead, and is not stored.
fn row_at(row: u32, base: u32) -> u32 {
  return base + min(row, args.m - 1) * args.a_m;
}

fn load_a(row: u32, base: u32) -> vec4f {
  let i = row_at(row, base);
  if (VECTOR_A) { return a4[i / 4]; }
  return vec4f(a[i], a[i + args.a_k], a[i + 2 * args.a_k], a[i + 3 * args.a_k]);
}

// Four terms of a single row, of which each lane loads one.
fn row_terms(at: u32) -> vec4f {
  let term = a[at];
  return vec4f(subgroupBroadcast(term, 0u), subgroupBroadcast(term, 1u), subgroupBroadcast(term, 2u), subgroupBroadcast(term, 3u));
}

fn load_b(c: vec4u, base: u32) -> vec4f {
  if (VECTOR_B) { return b4[(base + c.x) / 4]; }
  return vec4f(b[base + c.x], b[base + c.y], b[base + c.z], b[base + c.w]);
}

fn store(row: u32, col: u32, base: u32, acc: vec4f) {
  if (row >= args.m) { return; }
  let o = base + row * args.out_m + col * args.out_n;
  for (var j = 0u; j < 4; j++) {
    if (col + j < args.n) {
      var v = args.alpha * acc[j];
      if (args.beta != 0) { v += args.beta * bias[row * args.bias_m + (col + j) * args.bias_n]; }
      out[o + j * args.out_n] = bounded(v, args.lo, args.hi);
    }
  }
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  // Batch and split come from the workgroup alone, so that the loop is uniform control flow.
  let group = linear_workgroup(wg, count);
  let plane = group / args.plane_groups;
  let split = plane % args.splits;
  let batch = plane / args.splits;
  if (batch >= args.batches) { return; }
  let lane = local % SUBGROUP;
  let tile = group % args.plane_groups * (WG / SUBGROUP) + local / SUBGROUP;
  let col = tile % args.tiles_n * (4 * SUBGROUP) + 4 * lane;
  let row = tile / args.tiles_n * ROWS;
  let k_begin = split * args.k_chunk;
  let k_end = min(k_begin + args.k_chunk, args.k);
  var a_base = args.a_offset + batch * args.a_batch + k_begin * args.a_k;
  var b_base = args.b_offset + batch * args.b_batch + k_begin * args.b_k;
  var c = min(vec4u(col, col + 1, col + 2, col + 3), vec4u(args.n - 1)) * args.b_n;
  if (VECTOR_B) { c = vec4u(min(col, args.n - 4)); }

  var acc0 = vec4f();
  var acc1 = vec4f();
  var acc2 = vec4f();
  var acc3 = vec4f();
  var acc4 = vec4f();
  var acc5 = vec4f();
  var acc6 = vec4f();
  var acc7 = vec4f();
  var acc8 = vec4f();
  var acc9 = vec4f();
  var acc10 = vec4f();
  var acc11 = vec4f();
  var acc12 = vec4f();
  var acc13 = vec4f();
  var acc14 = vec4f();
  var acc15 = vec4f();

  let steps = (max(k_end, k_begin) - k_begin) / 4;
  for (var i = 0u; i < steps; i++) {
    var x: array<vec4f, HELD>;
    if (ROWS == 1) {
      x[0] = row_terms(row_at(row, a_base) + lane % 4 * args.a_k);
    } else {
      x[0] = load_a(row + lane % ROWS, a_base);
    }
    if (HELD > 1) { x[1 % HELD] = load_a(row + lane + SUBGROUP, a_base); }
    if (HELD > 2) {
      x[2 % HELD] = load_a(row + lane + 2 * SUBGROUP, a_base);
      x[3 % HELD] = load_a(row + lane + 3 * SUBGROUP, a_base);
    }
    let b0 = load_b(c, b_base);
    let b1 = load_b(c, b_base + args.b_k);
    let b2 = load_b(c, b_base + 2 * args.b_k);
    let b3 = load_b(c, b_base + 3 * args.b_k);
    a_base += 4 * args.a_k;
    b_base += 4 * args.b_k;
    var x0 = x[0];
    if (ROWS > 1) { x0 = subgroupBroadcast(x0, 0u); }
    acc0 = madd(acc0, x0, b0, b1, b2, b3);
    if (ROWS > 1) { acc1 = madd(acc1, subgroupBroadcast(x[1 / SUBGROUP % HELD], 1u % SUBGROUP), b0, b1, b2, b3); }
    if (ROWS > 2) { acc2 = madd(acc2, subgroupBroadcast(x[2 / SUBGROUP % HELD], 2u % SUBGROUP), b0, b1, b2, b3); }
    if (ROWS > 2) { acc3 = madd(acc3, subgroupBroadcast(x[3 / SUBGROUP % HELD], 3u % SUBGROUP), b0, b1, b2, b3); }
    if (ROWS > 4) {
      acc4 = madd(acc4, subgroupBroadcast(x[4 / SUBGROUP % HELD], 4u % SUBGROUP), b0, b1, b2, b3);
      acc5 = madd(acc5, subgroupBroadcast(x[5 / SUBGROUP % HELD], 5u % SUBGROUP), b0, b1, b2, b3);
      acc6 = madd(acc6, subgroupBroadcast(x[6 / SUBGROUP % HELD], 6u % SUBGROUP), b0, b1, b2, b3);
      acc7 = madd(acc7, subgroupBroadcast(x[7 / SUBGROUP % HELD], 7u % SUBGROUP), b0, b1, b2, b3);
    }
    if (ROWS > 8) {
      acc8 = madd(acc8, subgroupBroadcast(x[8 / SUBGROUP % HELD], 8u % SUBGROUP), b0, b1, b2, b3);
      acc9 = madd(acc9, subgroupBroadcast(x[9 / SUBGROUP % HELD], 9u % SUBGROUP), b0, b1, b2, b3);
      acc10 = madd(acc10, subgroupBroadcast(x[10 / SUBGROUP % HELD], 10u % SUBGROUP), b0, b1, b2, b3);
      acc11 = madd(acc11, subgroupBroadcast(x[11 / SUBGROUP % HELD], 11u % SUBGROUP), b0, b1, b2, b3);
      acc12 = madd(acc12, subgroupBroadcast(x[12 / SUBGROUP % HELD], 12u % SUBGROUP), b0, b1, b2, b3);
      acc13 = madd(acc13, subgroupBroadcast(x[13 / SUBGROUP % HELD], 13u % SUBGROUP), b0, b1, b2, b3);
      acc14 = madd(acc14, subgroupBroadcast(x[14 / SUBGROUP % HELD], 14u % SUBGROUP), b0, b1, b2, b3);
      acc15 = madd(acc15, subgroupBroadcast(x[15 / SUBGROUP % HELD], 15u % SUBGROUP), b0, b1, b2, b3);
    }
  }
  for (var k = k_begin + 4 * steps; k < k_end; k++) {
    let bk = load_b(c, b_base);
    acc0 += a[row_at(row + 0, a_base)] * bk;
    if (ROWS > 1) { acc1 += a[row_at(row + 1, a_base)] * bk; }
    if (ROWS > 2) { acc2 += a[row_at(row + 2, a_base)] * bk; }
    if (ROWS > 2) { acc3 += a[row_at(row + 3, a_base)] * bk; }
    if (ROWS > 4) {
      acc4 += a[row_at(row + 4, a_base)] * bk;
      acc5 += a[row_at(row + 5, a_base)] * bk;
      acc6 += a[row_at(row + 6, a_base)] * bk;
      acc7 += a[row_at(row + 7, a_base)] * bk;
    }
    if (ROWS > 8) {
      acc8 += a[row_at(row + 8, a_base)] * bk;
      acc9 += a[row_at(row + 9, a_base)] * bk;
      acc10 += a[row_at(row + 10, a_base)] * bk;
      acc11 += a[row_at(row + 11, a_base)] * bk;
      acc12 += a[row_at(row + 12, a_base)] * bk;
      acc13 += a[row_at(row + 13, a_base)] * bk;
      acc14 += a[row_at(row + 14, a_base)] * bk;
      acc15 += a[row_at(row + 15, a_base)] * bk;
    }
    a_base += args.a_k;
    b_base += args.b_k;
  }

  let o = args.out_offset + batch * args.out_batch + split * args.out_split;
  store(row, col, o, acc0);
  if (ROWS > 1) { store(row + 1, col, o, acc1); }
  if (ROWS > 2) { store(row + 2, col, o, acc2); }
  if (ROWS > 2) { store(row + 3, col, o, acc3); }
  if (ROWS > 4) {
    store(row + 4, col, o, acc4);
    store(row + 5, col, o, acc5);
    store(row + 6, col, o, acc6);
    store(row + 7, col, o, acc7);
  }
  if (ROWS > 8) {
    store(row + 8, col, o, acc8);
    store(row + 9, col, o, acc9);
    store(row + 10, col, o, acc10);
    store(row + 11, col, o, acc11);
    store(row + 12, col, o, acc12);
    store(row + 13, col, o, acc13);
    store(row + 14, col, o, acc14);
    store(row + 15, col, o, acc15);
  }
}
