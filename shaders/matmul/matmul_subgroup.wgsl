// C = clamp(alpha * A·B + beta * bias), f32, one tile of 1 to 32 rows per subgroup; for adapters that run on a CPU.
//
// Software adapters turn every storage load into a guarded scalar load per lane, so the loop is built to
// load little per multiply-add: lane r reads four consecutive k of row r and the subgroup shares them
// (common/rows); each lane owns four columns. No workgroup memory, no barrier.
// A, B and C carry strides for both of their axes, so a transposed operand is the same kernel.
// K can be split: split s sums k in [s*k_chunk, (s+1)*k_chunk) into its own copy of the output
// (`reduce_splits` adds the copies in a fixed order).
import package::common::product::{VECTOR_A, VECTOR_B, a, a4, args, b, b4, place_at, store_four};
import package::common::grid::linear_workgroup;
import package::common::rows::{ENDLESS, HELD, ROWS, SUBGROUP, add_rows, held_rows, madd, row_of};

enable subgroups;

const UNIT_A: u32 = select(1u, 4u, VECTOR_A);
// Columns of B are whole vectors, of terms: weights as PyTorch keeps them.
const COLUMNS_B: bool = false;
// Whether there may be terms left behind the last four.
const RAGGED: bool = true;
// Whether a lane has four columns more, 4·SUBGROUP further: of a single row on SwiftShader, whose four lanes would read one
// line of the cache from a row of B, and now read two that are neighbours.
const TWICE: bool = ROWS == 1 && SUBGROUP == 4;

// Whether a second tile lies below the first and shares what is loaded of B: six loads in place of eight for as many
// products, in twice as much code. Sixteen rows each, on lavapipe; SwiftShader's loop would outgrow the caches.
const STACKED: bool = false;
// Tiles of a workgroup, each by SUBGROUP lanes of its one subgroup.
const TILES: u32 = 1;
const WG: u32 = SUBGROUP * TILES;

// Where the rows begin that a lane holds of a tile, in whole vectors if they are such. A row or column past the edge reads
// the last one instead, and is not stored.
fn starts_of(row: u32, lane: u32, base: u32) -> array<u32, HELD> {
  var held = held_rows(row, args.m - 1, lane);
  held[0] = (base + held[0] * args.a_m) / UNIT_A;
  if (HELD > 1) { held[1 % HELD] = (base + held[1 % HELD] * args.a_m) / UNIT_A; }
  if (HELD > 2) { held[2 % HELD] = (base + held[2 % HELD] * args.a_m) / UNIT_A; }
  if (HELD > 3) { held[3 % HELD] = (base + held[3 % HELD] * args.a_m) / UNIT_A; }
  return held;
}

// The step-th four terms of the row that begins at `base`.
fn load_a(base: u32, step: u32) -> vec4f {
  if (VECTOR_A) { return a4[base + step]; }
  let i = base + 4 * step * args.a_k;
  return vec4f(a[i], a[i + args.a_k], a[i + 2 * args.a_k], a[i + 3 * args.a_k]);
}

// Of all rows that a lane holds.
fn load_rows(held: array<u32, HELD>, step: u32) -> array<vec4f, HELD> {
  var x: array<vec4f, HELD>;
  x[0] = load_a(held[0], step);
  if (HELD > 1) { x[1 % HELD] = load_a(held[1 % HELD], step); }
  if (HELD > 2) { x[2 % HELD] = load_a(held[2 % HELD], step); }
  if (HELD > 3) { x[3 % HELD] = load_a(held[3 % HELD], step); }
  return x;
}

// A single term of them, `at` further.
fn load_terms(held: array<u32, HELD>, at: u32) -> array<vec4f, HELD> {
  var x: array<vec4f, HELD>;
  x[0].x = a[held[0] * UNIT_A + at];
  if (HELD > 1) { x[1 % HELD].x = a[held[1 % HELD] * UNIT_A + at]; }
  if (HELD > 2) { x[2 % HELD].x = a[held[2 % HELD] * UNIT_A + at]; }
  if (HELD > 3) { x[3 % HELD].x = a[held[3 % HELD] * UNIT_A + at]; }
  return x;
}

// Four terms of a single row, of which each lane loads one, shared as rows are (see common/rows).
fn row_terms(at: u32, lane: u32) -> vec4f {
  let term = a[at];
  if (SUBGROUP == 4) {
    let mine = vec4f(term, quadSwapX(term), quadSwapY(term), quadSwapDiagonal(term));
    if (!COLUMNS_B) { return mine; }
    let pairs = select(mine, mine.yxwz, vec4<bool>((lane & 1) == 1));
    return select(pairs, pairs.zwxy, vec4<bool>((lane & 2) == 2));
  }
  return vec4f(subgroupBroadcast(term, 0u), subgroupBroadcast(term, 1u), subgroupBroadcast(term, 2u), subgroupBroadcast(term, 3u));
}

// Which of the four they are, to a lane.
fn terms_of(lane: u32) -> vec4u {
  let terms = vec4u(0, 1, 2, 3);
  return select(terms, terms ^ vec4u(lane), ROWS == 1 && SUBGROUP == 4);
}

// Where the columns of a lane begin, from col on; those past the edge read others instead, and are not stored.
fn columns_at(col: u32, base: u32) -> vec4u {
  if (VECTOR_B) { return vec4u((base + min(col, args.n - 4)) / 4); }
  return (base + min(col + vec4u(0, 1, 2, 3), vec4u(args.n - 1)) * args.b_n) / select(1u, 4u, COLUMNS_B);
}

// A term of four columns, `distance` further.
fn load_b(c: vec4u, distance: u32) -> vec4f {
  if (VECTOR_B) { return b4[c.x + distance]; }
  let i = c * select(1u, 4u, COLUMNS_B) + distance;
  return vec4f(b[i.x], b[i.y], b[i.z], b[i.w]);
}

// The step-th four terms of four columns; unless columns are vectors, those four of them that `at` names.
fn load_columns(c: vec4u, step: u32, at: vec4u) -> mat4x4f {
  if (COLUMNS_B) {
    let i = c + step;
    return transpose(mat4x4f(b4[i.x], b4[i.y], b4[i.z], b4[i.w]));
  }
  return mat4x4f(load_b(c, at.x), load_b(c, at.y), load_b(c, at.z), load_b(c, at.w));
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(subgroup_invocation_id) id: u32,
) {
  // The split comes from the workgroup alone, so that the loop is uniform control flow.
  let group = linear_workgroup(wg, count);
  let plane = group / args.plane_groups;
  let split = plane % args.splits;
  var batch = plane / args.splits;
  var tile = group % args.plane_groups;
  if (batch >= select(args.batches, 1u, TILES > 1)) { return; }
  var tiles_m = args.plane_groups / args.tiles_n;
  var lane = id;
  var is_over = false;
  if (TILES > 1) {
    // A plane is one split of all products: tiles of two of them may share a subgroup, whose last one may have one too many.
    tiles_m = (args.m + ROWS - 1) / ROWS;
    let tiles = tiles_m * args.tiles_n;
    tile = tile * TILES + id / SUBGROUP;
    batch = tile / tiles;
    is_over = batch >= args.batches;
    batch = min(batch, args.batches - 1);
    tile %= tiles;
    lane = id % SUBGROUP;
  }
  // Down the columns: what was loaded of B is still in a cache, and all of A in another where it fits.
  let col = tile / tiles_m * (4 * SUBGROUP * select(1u, 2u, TWICE)) + 4 * lane;
  // A row past the edge is not stored.
  let row = select(tile % tiles_m * (ROWS * select(1u, 2u, STACKED)), args.m, is_over);
  let k_begin = split * args.k_chunk;
  let terms = min(k_begin + args.k_chunk, args.k) - min(k_begin, args.k);
  let a_base = args.a_offset + batch * args.a_batch + k_begin * args.a_k;
  let b_base = args.b_offset + batch * args.b_batch + k_begin * args.b_k;
  let c = columns_at(col, b_base);
  var d = vec4u();
  if (TWICE) { d = columns_at(col + 4 * SUBGROUP, b_base); }
  var sums = array<vec4f, 16>();
  var sums_below = array<vec4f, 16>();

  // Like all that the loop needs, worked out before it: SwiftShader hoists nothing.
  let b_row = args.b_k / select(1u, 4u, VECTOR_B);
  let held = starts_of(row, lane, a_base);
  var below: array<u32, HELD>;
  if (STACKED) { below = starts_of(row + ROWS, lane, a_base); }
  let own = a_base + row * args.a_m + lane % 4 * args.a_k;
  let ahead = terms_of(lane) * b_row;
  let steps = terms / 4;
  for (var i = 0u; i < ENDLESS; i++) {
    if (i >= steps) { break; }
    if (ROWS == 1) {
      var x: array<vec4f, HELD>;
      x[0] = row_terms(own + 4 * i * args.a_k, lane);
      let at = 4 * i * b_row + ahead;
      add_rows(&sums, x, load_columns(c, i, at));
      if (TWICE) { sums[1] = madd(sums[1], x[0], load_columns(d, i, at)); }
    } else {
      let x = load_rows(held, i);
      let terms_b = load_columns(c, i, (4 * i + vec4u(0, 1, 2, 3)) * b_row);
      add_rows(&sums, x, terms_b);
      if (STACKED) { add_rows(&sums_below, load_rows(below, i), terms_b); }
    }
  }
  if (RAGGED) {
    for (var k = 4 * steps; k < terms; k++) {
      let x = load_terms(held, k * args.a_k);
      let term_b = mat4x4f(load_b(c, k * b_row), vec4f(), vec4f(), vec4f());
      add_rows(&sums, x, term_b);
      if (STACKED) { add_rows(&sums_below, load_terms(below, k * args.a_k), term_b); }
      if (TWICE) { sums[1] += x[0].x * load_b(d, k * b_row); }
    }
  }

  let at = place_at(args.out_offset + batch * args.out_batch + split * args.out_split);
  // A copy, so that the sums themselves need no address and stay in registers.
  var results = sums;
  for (var r = 0u; r < ROWS; r++) { store_four(at, row + row_of(r, lane), col, results[r]); }
  if (STACKED) {
    results = sums_below;
    for (var r = 0u; r < ROWS; r++) { store_four(at, row + ROWS + row_of(r, lane), col, results[r]); }
  }
  if (TWICE) { store_four(at, row, col + 4 * SUBGROUP, results[1]); }
}
