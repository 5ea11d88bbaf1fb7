// C = clamp(alpha * A·B + beta * bias), f32, of 1 to 32 terms, or that many added to C; for adapters that run on a CPU.
//
// With so few terms the time goes into storing C, and into what a tile does before and after its sums. So a subgroup goes
// down many rows, ROWS of them a turn, and keeps what it needs of B, four columns for each lane: all terms of a row are
// added at once, no sum outlives a turn, and no loop over terms begins or ends. Rows are shared as in common/rows.
import package::common::product::Args;
import package::common::grid::linear_workgroup;
import package::common::rows::{ENDLESS, HELD, ROWS, SUBGROUP, add_rows, row_of};
import package::common::bounds::bounded4;

enable subgroups;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> b4: array<vec4f>; // b again
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read> a4: array<vec4f>; // a again

// ROWS, of common/rows, is a power of two, at most 8 and the lanes of a subgroup.
const TERMS: u32 = 32;
// Whether sums are added to what C holds, that is, to those of the terms before.
const ACCUMULATE: bool = false;
// Rows of A, and of B, are whole vectors.
const VECTOR_A: bool = false;
const VECTOR_B: bool = false;
// Columns of C come in whole fours: all that a lane has, or none, are there.
const FOURS: bool = false;
// Whether there is nothing to do to a sum: no bias, no bounds, alpha is 1.
const PLAIN: bool = false;

// Terms go in fours, the last of which may be less.
const GROUPS: u32 = (TERMS + 3) / 4;
const REST: u32 = TERMS - 4 * (GROUPS - 1);

// Four terms of a row of A.
fn load_a(row: u32, first: u32) -> vec4f {
  if (VECTOR_A) { return a4[(row + first) / 4]; }
  let i = row + first * args.a_k;
  return vec4f(a[i], a[i + args.a_k], a[i + 2 * args.a_k], a[i + 3 * args.a_k]);
}

// The last ones; what is missing of four is zero.
fn rest_of_a(row: u32) -> vec4f {
  if (REST == 4) { return load_a(row, 4 * (GROUPS - 1)); }
  let i = row + 4 * (GROUPS - 1) * args.a_k;
  var x = vec4f(a[i], 0, 0, 0);
  if (REST > 1) { x.y = a[i + args.a_k]; }
  if (REST > 2) { x.z = a[i + 2 * args.a_k]; }
  return x;
}

// A term of four columns of B, which begin at c.
fn term_of_b(c: vec4u, term: u32) -> vec4f {
  if (VECTOR_B) { return b4[(c.x + term * args.b_k) / 4]; }
  let i = c + term * args.b_k;
  return vec4f(b[i.x], b[i.y], b[i.z], b[i.w]);
}

fn load_b(c: vec4u, first: u32) -> mat4x4f {
  return mat4x4f(term_of_b(c, first), term_of_b(c, first + 1), term_of_b(c, first + 2), term_of_b(c, first + 3));
}

fn rest_of_b(c: vec4u) -> mat4x4f {
  let first = 4 * (GROUPS - 1);
  var y = mat4x4f();
  y[0] = term_of_b(c, first);
  if (REST > 1) { y[1] = term_of_b(c, first + 1); }
  if (REST > 2) { y[2] = term_of_b(c, first + 2); }
  if (REST > 3) { y[3] = term_of_b(c, first + 3); }
  return y;
}

// What stores need, asked for before the loop: SwiftShader hoists nothing.
struct Place { col: u32, base: u32, m: u32, n: u32, out_m: u32, out_n: u32, alpha: f32, lo: f32, hi: f32 }

fn result(at: Place, row: u32, columns: vec4u, sum: vec4f) -> vec4f {
  if (PLAIN) { return sum; }
  var v = at.alpha * sum;
  if (args.beta != 0) {
    let i = row * args.bias_m + min(columns, vec4u(at.n - 1)) * args.bias_n;
    v += args.beta * vec4f(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
  }
  return bounded4(v, at.lo, at.hi);
}

fn store(at: Place, row: u32, sum: vec4f) {
  let columns = at.col + vec4u(0, 1, 2, 3);
  let o = at.base + row * at.out_m + columns * at.out_n;
  if (FOURS) {
    if (row < at.m && at.col < at.n) {
      var whole = sum;
      if (ACCUMULATE) { whole += vec4f(out[o.x], out[o.y], out[o.z], out[o.w]); }
      let v = result(at, row, columns, whole);
      out[o.x] = v.x;
      out[o.y] = v.y;
      out[o.z] = v.z;
      out[o.w] = v.w;
    }
    return;
  }
  let inside = (columns < vec4u(at.n)) & vec4<bool>(row < at.m);
  var whole = sum;
  if (ACCUMULATE) {
    if (inside.x) { whole.x += out[o.x]; }
    if (inside.y) { whole.y += out[o.y]; }
    if (inside.z) { whole.z += out[o.z]; }
    if (inside.w) { whole.w += out[o.w]; }
  }
  let v = result(at, row, columns, whole);
  if (inside.x) { out[o.x] = v.x; }
  if (inside.y) { out[o.y] = v.y; }
  if (inside.z) { out[o.z] = v.z; }
  if (inside.w) { out[o.w] = v.w; }
}

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  // From the workgroup alone, so that the loop is uniform control flow.
  let group = linear_workgroup(wg, count);
  let batch = group / args.plane_groups;
  let tile = group - batch * args.plane_groups;
  let tile_m = tile / args.tiles_n;
  if (batch >= args.batches) { return; }
  let col = (tile - tile_m * args.tiles_n) * 4 * SUBGROUP + 4 * lane;
  // Rows go in turns, of which each workgroup has as many.
  let tiles_m = args.plane_groups / args.tiles_n;
  let turns = ((args.m + ROWS - 1) / ROWS + tiles_m - 1) / tiles_m;
  let top = tile_m * turns * ROWS;
  // Columns and rows past the edge read others instead, and are not stored.
  let b_base = args.b_offset + batch * args.b_batch;
  var c = b_base + min(col + vec4u(0, 1, 2, 3), vec4u(args.n - 1)) * args.b_n;
  if (VECTOR_B) { c.x = b_base + min(col, args.n - 4); }
  var y: array<mat4x4f, GROUPS>;
  if (GROUPS > 1) { y[0] = load_b(c, 0); }
  if (GROUPS > 2) { y[1 % GROUPS] = load_b(c, 4); }
  if (GROUPS > 3) { y[2 % GROUPS] = load_b(c, 8); }
  if (GROUPS > 4) { y[3 % GROUPS] = load_b(c, 12); }
  if (GROUPS > 5) { y[4 % GROUPS] = load_b(c, 16); }
  if (GROUPS > 6) { y[5 % GROUPS] = load_b(c, 20); }
  if (GROUPS > 7) { y[6 % GROUPS] = load_b(c, 24); }
  y[GROUPS - 1] = rest_of_b(c);

  let a_base = args.a_offset + batch * args.a_batch;
  let base = args.out_offset + batch * args.out_batch;
  let at = Place(col, base, args.m, args.n, args.out_m, args.out_n, args.alpha, args.lo, args.hi);
  let a_m = args.a_m;
  for (var turn = 0u; turn < ENDLESS; turn++) {
    if (turn >= turns) { break; }
    let first = top + turn * ROWS;
    // Where rows are fewer than lanes, several lanes hold the same.
    let row = a_base + min(first + (lane & (ROWS - 1)), at.m - 1) * a_m;
    var sums = array<vec4f, 16>();
    var x: array<vec4f, HELD>;
    if (GROUPS > 1) {
      x[0] = load_a(row, 0);
      add_rows(&sums, x, y[0]);
    }
    if (GROUPS > 2) {
      x[0] = load_a(row, 4);
      add_rows(&sums, x, y[1 % GROUPS]);
    }
    if (GROUPS > 3) {
      x[0] = load_a(row, 8);
      add_rows(&sums, x, y[2 % GROUPS]);
    }
    if (GROUPS > 4) {
      x[0] = load_a(row, 12);
      add_rows(&sums, x, y[3 % GROUPS]);
    }
    if (GROUPS > 5) {
      x[0] = load_a(row, 16);
      add_rows(&sums, x, y[4 % GROUPS]);
    }
    if (GROUPS > 6) {
      x[0] = load_a(row, 20);
      add_rows(&sums, x, y[5 % GROUPS]);
    }
    if (GROUPS > 7) {
      x[0] = load_a(row, 24);
      add_rows(&sums, x, y[6 % GROUPS]);
    }
    x[0] = rest_of_a(row);
    add_rows(&sums, x, y[GROUPS - 1]);
    // Written out: an array that is indexed by a variable lies in memory.
    store(at, first + row_of(0, lane), sums[0]);
    if (ROWS > 1) { store(at, first + row_of(1, lane), sums[1]); }
    if (ROWS > 2) {
      store(at, first + row_of(2, lane), sums[2]);
      store(at, first + row_of(3, lane), sums[3]);
    }
    if (ROWS > 4) {
      store(at, first + row_of(4, lane), sums[4]);
      store(at, first + row_of(5, lane), sums[5]);
      store(at, first + row_of(6, lane), sums[6]);
      store(at, first + row_of(7, lane), sums[7]);
    }
  }
}
