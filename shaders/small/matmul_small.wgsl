// C = clamp(alpha * A·B + beta * bias), f32, of many small matrices: a tile of up to 8 x 8 per lane, and nothing shared.
//
// The other kernels give a tile to a workgroup, most of which hangs over the edges of a small matrix. Here a workgroup takes
// as many matrices as its lanes have room for, and a matrix that is no larger than a tile is loaded once.
import package::common::product::{Place, VECTOR_B, a, args, b, columns_of_b, finished, out, place_at, terms_of_a};
import package::common::grid::linear_workgroup;
import package::common::rows::{ENDLESS, madd};

const WG: u32 = 64;
// Rows and columns of a tile, 1 to 8.
const TILE_M: u32 = 4;
const TILE_N: u32 = 4;
// No tile hangs over an edge.
const WHOLE: bool = false;
// How often there are four terms, up to twice; 3 is more often. SwiftShader goes through a loop once more with no lane active.
const STEPS: u32 = 3;
// Terms that are left behind the last four.
const REST: u32 = 0;

// Quarters of a tile are matrices whose columns are rows of C: rows 0 to 3 at the top, columns 0 to 3 to the left. What a
// tile does not have of a quarter is left out.

// The four terms from `term` on of rows that begin there.
fn load_top(rows: vec4u, term: u32) -> mat4x4f {
  var x = mat4x4f();
  x[0] = terms_of_a(rows.x, term);
  if (TILE_M > 1) { x[1] = terms_of_a(rows.y, term); }
  if (TILE_M > 2) { x[2] = terms_of_a(rows.z, term); }
  if (TILE_M > 3) { x[3] = terms_of_a(rows.w, term); }
  return x;
}

fn load_bottom(rows: vec4u, term: u32) -> mat4x4f {
  var x = mat4x4f();
  x[0] = terms_of_a(rows.x, term);
  if (TILE_M > 5) { x[1] = terms_of_a(rows.y, term); }
  if (TILE_M > 6) { x[2] = terms_of_a(rows.z, term); }
  if (TILE_M > 7) { x[3] = terms_of_a(rows.w, term); }
  return x;
}

// A single term of the columns that begin at c.
fn load_left(c: vec4u, term: u32) -> vec4f {
  if (VECTOR_B) { return columns_of_b(c, term); }
  let i = c + term * args.b_k;
  var y = vec4f(b[i.x], 0, 0, 0);
  if (TILE_N > 1) { y.y = b[i.y]; }
  if (TILE_N > 2) { y.z = b[i.z]; }
  if (TILE_N > 3) { y.w = b[i.w]; }
  return y;
}

fn load_right(c: vec4u, term: u32) -> vec4f {
  if (VECTOR_B) { return columns_of_b(c, term); }
  let i = c + term * args.b_k;
  var y = vec4f(b[i.x], 0, 0, 0);
  if (TILE_N > 5) { y.y = b[i.y]; }
  if (TILE_N > 6) { y.z = b[i.z]; }
  if (TILE_N > 7) { y.w = b[i.w]; }
  return y;
}

// With four terms more.
fn add_top(sums: mat4x4f, x: mat4x4f, y: mat4x4f) -> mat4x4f {
  var more = sums;
  more[0] = madd(sums[0], x[0], y);
  if (TILE_M > 1) { more[1] = madd(sums[1], x[1], y); }
  if (TILE_M > 2) { more[2] = madd(sums[2], x[2], y); }
  if (TILE_M > 3) { more[3] = madd(sums[3], x[3], y); }
  return more;
}

fn add_bottom(sums: mat4x4f, x: mat4x4f, y: mat4x4f) -> mat4x4f {
  var more = sums;
  more[0] = madd(sums[0], x[0], y);
  if (TILE_M > 5) { more[1] = madd(sums[1], x[1], y); }
  if (TILE_M > 6) { more[2] = madd(sums[2], x[2], y); }
  if (TILE_M > 7) { more[3] = madd(sums[3], x[3], y); }
  return more;
}

// A single term of the rows.
fn term_top(rows: vec4u, term: u32) -> vec4f {
  let i = rows + term * args.a_k;
  var x = vec4f(a[i.x], 0, 0, 0);
  if (TILE_M > 1) { x.y = a[i.y]; }
  if (TILE_M > 2) { x.z = a[i.z]; }
  if (TILE_M > 3) { x.w = a[i.w]; }
  return x;
}

fn term_bottom(rows: vec4u, term: u32) -> vec4f {
  let i = rows + term * args.a_k;
  var x = vec4f(a[i.x], 0, 0, 0);
  if (TILE_M > 5) { x.y = a[i.y]; }
  if (TILE_M > 6) { x.z = a[i.z]; }
  if (TILE_M > 7) { x.w = a[i.w]; }
  return x;
}

// With that one more.
fn add_term_top(sums: mat4x4f, x: vec4f, y: vec4f) -> mat4x4f {
  var more = sums;
  more[0] = sums[0] + x.x * y;
  if (TILE_M > 1) { more[1] = sums[1] + x.y * y; }
  if (TILE_M > 2) { more[2] = sums[2] + x.z * y; }
  if (TILE_M > 3) { more[3] = sums[3] + x.w * y; }
  return more;
}

fn add_term_bottom(sums: mat4x4f, x: vec4f, y: vec4f) -> mat4x4f {
  var more = sums;
  more[0] = sums[0] + x.x * y;
  if (TILE_M > 5) { more[1] = sums[1] + x.y * y; }
  if (TILE_M > 6) { more[2] = sums[2] + x.z * y; }
  if (TILE_M > 7) { more[3] = sums[3] + x.w * y; }
  return more;
}

struct Quarters { top_left: mat4x4f, top_right: mat4x4f, bottom_left: mat4x4f, bottom_right: mat4x4f }

// Where rows of A and columns of B begin.
struct Tile { top: vec4u, bottom: vec4u, left: vec4u, right: vec4u }

fn step(sums: Quarters, tile: Tile, k: u32) -> Quarters {
  var more = sums;
  let y = mat4x4f(load_left(tile.left, k), load_left(tile.left, k + 1), load_left(tile.left, k + 2), load_left(tile.left, k + 3));
  let top = load_top(tile.top, k);
  more.top_left = add_top(sums.top_left, top, y);
  var bottom = mat4x4f();
  if (TILE_M > 4) {
    bottom = load_bottom(tile.bottom, k);
    more.bottom_left = add_bottom(sums.bottom_left, bottom, y);
  }
  if (TILE_N > 4) {
    let c = tile.right;
    let z = mat4x4f(load_right(c, k), load_right(c, k + 1), load_right(c, k + 2), load_right(c, k + 3));
    more.top_right = add_top(sums.top_right, top, z);
    if (TILE_M > 4) { more.bottom_right = add_bottom(sums.bottom_right, bottom, z); }
  }
  return more;
}

fn term(sums: Quarters, tile: Tile, k: u32) -> Quarters {
  var more = sums;
  let y = load_left(tile.left, k);
  let top = term_top(tile.top, k);
  more.top_left = add_term_top(sums.top_left, top, y);
  var bottom = vec4f();
  if (TILE_M > 4) {
    bottom = term_bottom(tile.bottom, k);
    more.bottom_left = add_term_bottom(sums.bottom_left, bottom, y);
  }
  if (TILE_N > 4) {
    let z = load_right(tile.right, k);
    more.top_right = add_term_top(sums.top_right, top, z);
    if (TILE_M > 4) { more.bottom_right = add_term_bottom(sums.bottom_right, bottom, z); }
  }
  return more;
}

fn store_left(at: Place, row: u32, col: u32, sum: vec4f) {
  let columns = col + vec4u(0, 1, 2, 3);
  let o = at.base + row * at.out_m + columns * at.out_n;
  let v = finished(at, row, columns, sum);
  if (WHOLE) {
    out[o.x] = v.x;
    if (TILE_N > 1) { out[o.y] = v.y; }
    if (TILE_N > 2) { out[o.z] = v.z; }
    if (TILE_N > 3) { out[o.w] = v.w; }
  } else {
    let inside = (columns < vec4u(at.n)) & vec4<bool>(row < at.m);
    if (inside.x) { out[o.x] = v.x; }
    if (TILE_N > 1) { if (inside.y) { out[o.y] = v.y; } }
    if (TILE_N > 2) { if (inside.z) { out[o.z] = v.z; } }
    if (TILE_N > 3) { if (inside.w) { out[o.w] = v.w; } }
  }
}

fn store_right(at: Place, row: u32, col: u32, sum: vec4f) {
  let columns = col + vec4u(0, 1, 2, 3);
  let o = at.base + row * at.out_m + columns * at.out_n;
  let v = finished(at, row, columns, sum);
  if (WHOLE) {
    out[o.x] = v.x;
    if (TILE_N > 5) { out[o.y] = v.y; }
    if (TILE_N > 6) { out[o.z] = v.z; }
    if (TILE_N > 7) { out[o.w] = v.w; }
  } else {
    let inside = (columns < vec4u(at.n)) & vec4<bool>(row < at.m);
    if (inside.x) { out[o.x] = v.x; }
    if (TILE_N > 5) { if (inside.y) { out[o.y] = v.y; } }
    if (TILE_N > 6) { if (inside.z) { out[o.z] = v.z; } }
    if (TILE_N > 7) { if (inside.w) { out[o.w] = v.w; } }
  }
}

fn store(at: Place, row: u32, col: u32, left: vec4f, right: vec4f) {
  store_left(at, row, col, left);
  if (TILE_N > 4) { store_right(at, row, col + 4, right); }
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = linear_workgroup(wg, count) * WG + lane;
  let batch = index / args.plane_groups;
  if (batch >= args.batches) { return; }
  let in_plane = index - batch * args.plane_groups;
  let tile_m = in_plane / args.tiles_n;
  let row = TILE_M * tile_m;
  let col = TILE_N * (in_plane - tile_m * args.tiles_n);
  // Rows and columns past the edge read the last one instead, and are not stored.
  let four = vec4u(0, 1, 2, 3);
  let a_base = args.a_offset + batch * args.a_batch;
  let b_base = args.b_offset + batch * args.b_batch;
  let tile = Tile(
    a_base + min(row + four, vec4u(args.m - 1)) * args.a_m,
    a_base + min(row + 4 + four, vec4u(args.m - 1)) * args.a_m,
    b_base + min(col + four, vec4u(args.n - 1)) * args.b_n,
    b_base + min(col + 4 + four, vec4u(args.n - 1)) * args.b_n,
  );
  var sums = Quarters();
  let whole = args.k & ~3u;
  if (STEPS > 2) {
    for (var i = 0u; i < ENDLESS; i++) {
      if (4 * i >= whole) { break; }
      sums = step(sums, tile, 4 * i);
    }
  } else {
    if (STEPS > 0) { sums = step(sums, tile, 0); }
    if (STEPS > 1) { sums = step(sums, tile, 4); }
  }
  if (REST > 0) { sums = term(sums, tile, whole); }
  if (REST > 1) { sums = term(sums, tile, whole + 1); }
  if (REST > 2) { sums = term(sums, tile, whole + 2); }
  let at = place_at(args.out_offset + batch * args.out_batch);
  store(at, row, col, sums.top_left[0], sums.top_right[0]);
  if (TILE_M > 1) { store(at, row + 1, col, sums.top_left[1], sums.top_right[1]); }
  if (TILE_M > 2) { store(at, row + 2, col, sums.top_left[2], sums.top_right[2]); }
  if (TILE_M > 3) { store(at, row + 3, col, sums.top_left[3], sums.top_right[3]); }
  if (TILE_M > 4) { store(at, row + 4, col, sums.bottom_left[0], sums.bottom_right[0]); }
  if (TILE_M > 5) { store(at, row + 5, col, sums.bottom_left[1], sums.bottom_right[1]); }
  if (TILE_M > 6) { store(at, row + 6, col, sums.bottom_left[2], sums.bottom_right[2]); }
  if (TILE_M > 7) { store(at, row + 7, col, sums.bottom_left[3], sums.bottom_right[3]); }
}
