// C = clamp(alpha * A·B + beta * bias), f32, of 1 to 32 terms, or that many added to C; for adapters that run on a CPU.
//
// With so few terms the time goes into storing C, and into what a tile does before and after its sums. So a subgroup goes
// down many rows, ROWS of them a turn, and keeps what it needs of B, four columns for each lane: all terms of a row are
// added at once, no sum outlives a turn, and no loop over terms begins or ends. Rows are shared as in common/rows.
import package::common::product::{Place, VECTOR_B, a, args, columns_of_b, finished, out, place_at, store_four, terms_of_a};
import package::common::grid::linear_workgroup;
import package::common::rows::{ENDLESS, HELD, ROWS, SUBGROUP, add_rows, row_of};

enable subgroups;

// ROWS, of common/rows, is a power of two, at most 8 and the lanes of a subgroup.
const TERMS: u32 = 32;
// Whether sums are added to what C holds, that is, to those of the terms before.
const ACCUMULATE: bool = false;
// Columns of C come in whole fours: all that a lane has, or none, are there.
const FOURS: bool = false;

// Terms go in fours, the last of which may be less.
const GROUPS: u32 = (TERMS + 3) / 4;
const REST: u32 = TERMS - 4 * (GROUPS - 1);

// The last ones; what is missing of four is zero.
fn rest_of_a(row: u32) -> vec4f {
  if (REST == 4) { return terms_of_a(row, 4 * (GROUPS - 1)); }
  let i = row + 4 * (GROUPS - 1) * args.a_k;
  var x = vec4f(a[i], 0, 0, 0);
  if (REST > 1) { x.y = a[i + args.a_k]; }
  if (REST > 2) { x.z = a[i + 2 * args.a_k]; }
  return x;
}

fn load_b(c: vec4u, first: u32) -> mat4x4f {
  return mat4x4f(columns_of_b(c, first), columns_of_b(c, first + 1), columns_of_b(c, first + 2), columns_of_b(c, first + 3));
}

fn rest_of_b(c: vec4u) -> mat4x4f {
  let first = 4 * (GROUPS - 1);
  var y = mat4x4f();
  y[0] = columns_of_b(c, first);
  if (REST > 1) { y[1] = columns_of_b(c, first + 1); }
  if (REST > 2) { y[2] = columns_of_b(c, first + 2); }
  if (REST > 3) { y[3] = columns_of_b(c, first + 3); }
  return y;
}

fn store(at: Place, row: u32, col: u32, sum: vec4f) {
  let columns = col + vec4u(0, 1, 2, 3);
  let o = at.base + row * at.out_m + columns * at.out_n;
  if (FOURS) {
    if (row < at.m && col < at.n) {
      var whole = sum;
      if (ACCUMULATE) { whole += vec4f(out[o.x], out[o.y], out[o.z], out[o.w]); }
      let v = finished(at, row, columns, whole);
      out[o.x] = v.x;
      out[o.y] = v.y;
      out[o.z] = v.z;
      out[o.w] = v.w;
    }
    return;
  }
  var whole = sum;
  if (ACCUMULATE) {
    let inside = (columns < vec4u(at.n)) & vec4<bool>(row < at.m);
    if (inside.x) { whole.x += out[o.x]; }
    if (inside.y) { whole.y += out[o.y]; }
    if (inside.z) { whole.z += out[o.z]; }
    if (inside.w) { whole.w += out[o.w]; }
  }
  store_four(at, row, col, whole);
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
  let at = place_at(args.out_offset + batch * args.out_batch);
  let a_m = args.a_m;
  for (var turn = 0u; turn < ENDLESS; turn++) {
    if (turn >= turns) { break; }
    let first = top + turn * ROWS;
    // Where rows are fewer than lanes, several lanes hold the same.
    let row = a_base + min(first + (lane & (ROWS - 1)), at.m - 1) * a_m;
    var sums = array<vec4f, 16>();
    var x: array<vec4f, HELD>;
    if (GROUPS > 1) {
      x[0] = terms_of_a(row, 0);
      add_rows(&sums, x, y[0]);
    }
    if (GROUPS > 2) {
      x[0] = terms_of_a(row, 4);
      add_rows(&sums, x, y[1 % GROUPS]);
    }
    if (GROUPS > 3) {
      x[0] = terms_of_a(row, 8);
      add_rows(&sums, x, y[2 % GROUPS]);
    }
    if (GROUPS > 4) {
      x[0] = terms_of_a(row, 12);
      add_rows(&sums, x, y[3 % GROUPS]);
    }
    if (GROUPS > 5) {
      x[0] = terms_of_a(row, 16);
      add_rows(&sums, x, y[4 % GROUPS]);
    }
    if (GROUPS > 6) {
      x[0] = terms_of_a(row, 20);
      add_rows(&sums, x, y[5 % GROUPS]);
    }
    if (GROUPS > 7) {
      x[0] = terms_of_a(row, 24);
      add_rows(&sums, x, y[6 % GROUPS]);
    }
    x[0] = rest_of_a(row);
    add_rows(&sums, x, y[GROUPS - 1]);
    // Written out: an array that is indexed by a variable lies in memory.
    store(at, first + row_of(0, lane), col, sums[0]);
    if (ROWS > 1) { store(at, first + row_of(1, lane), col, sums[1]); }
    if (ROWS > 2) {
      store(at, first + row_of(2, lane), col, sums[2]);
      store(at, first + row_of(3, lane), col, sums[3]);
    }
    if (ROWS > 4) {
      store(at, first + row_of(4, lane), col, sums[4]);
      store(at, first + row_of(5, lane), col, sums[5]);
      store(at, first + row_of(6, lane), col, sums[6]);
      store(at, first + row_of(7, lane), col, sums[7]);
    }
  }
}
