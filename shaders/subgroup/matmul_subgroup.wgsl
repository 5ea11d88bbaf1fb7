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
import package::common::shifted::{Shift, shift_of, shifted};
import package::common::rows::{ENDLESS, HELD, ROWS, SUBGROUP, add_rows, held_rows, madd, row_of};

enable subgroups;

// Columns of B are whole vectors, of terms: weights as PyTorch keeps them.
const COLUMNS_B: bool = false;
// Rows of A, and such columns of B, are read as vectors yet begin anywhere within one.
const SHIFTED_A: bool = false;
const SHIFTED_B: bool = false;
const UNIT_A: u32 = select(1u, 4u, VECTOR_A || SHIFTED_A);
const UNIT_B: u32 = select(1u, 4u, COLUMNS_B || SHIFTED_B);
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
// Whether tiles hang over the last column, where columns are not read as vectors. lavapipe, which loads lane by lane, leaves
// out what nobody needs; SwiftShader loads all four in any case.
const HANGS_OVER: bool = false;

// A row that a lane holds: where it begins, in vectors if it is read as such, and what it is shifted by.
struct Row { start: u32, shift: Shift }

fn row_at(start: u32) -> Row {
  return Row(start / UNIT_A, shift_of(start));
}

// Those that a lane holds of a tile. A row or column past the edge reads the last one instead, and is not stored.
fn rows_of(row: u32, lane: u32, base: u32) -> array<Row, HELD> {
  let held = held_rows(row, args.m - 1, lane);
  var rows: array<Row, HELD>;
  rows[0] = row_at(base + held[0] * args.a_m);
  if (HELD > 1) { rows[1 % HELD] = row_at(base + held[1 % HELD] * args.a_m); }
  if (HELD > 2) { rows[2 % HELD] = row_at(base + held[2 % HELD] * args.a_m); }
  if (HELD > 3) { rows[3 % HELD] = row_at(base + held[3 % HELD] * args.a_m); }
  return rows;
}

// The step-th four terms of a row, or its step-th vector.
fn load_a(row: Row, step: u32) -> vec4f {
  if (VECTOR_A || SHIFTED_A) { return a4[row.start + step]; }
  let i = row.start + 4 * step * args.a_k;
  return vec4f(a[i], a[i + args.a_k], a[i + 2 * args.a_k], a[i + 3 * args.a_k]);
}

// Of all rows that a lane holds.
fn load_rows(rows: array<Row, HELD>, lane: u32, step: u32) -> array<vec4f, HELD> {
  var x: array<vec4f, HELD>;
  if (SUBGROUP == 8 && ROWS < 8) {
    if (lane < ROWS) { x[0] = load_a(rows[0], step); }
  } else {
    x[0] = load_a(rows[0], step);
  }
  if (SUBGROUP == 8 && ROWS > 8 && ROWS < 16) {
    if (lane < ROWS - 8) { x[1 % HELD] = load_a(rows[1 % HELD], step); }
  } else if (HELD > 1) {
    x[1 % HELD] = load_a(rows[1 % HELD], step);
  }
  if (HELD > 2) { x[2 % HELD] = load_a(rows[2 % HELD], step); }
  if (HELD > 3) { x[3 % HELD] = load_a(rows[3 % HELD], step); }
  return x;
}

// The step-th four terms of all of them, after the vectors that the step before has read.
fn next_rows(last: ptr<function, array<vec4f, HELD>>, rows: array<Row, HELD>, lane: u32, step: u32) -> array<vec4f, HELD> {
  if (!SHIFTED_A) { return load_rows(rows, lane, step); }
  let next = load_rows(rows, lane, step + 1);
  var x: array<vec4f, HELD>;
  x[0] = shifted((*last)[0], next[0], rows[0].shift);
  if (HELD > 1) { x[1 % HELD] = shifted((*last)[1 % HELD], next[1 % HELD], rows[1 % HELD].shift); }
  if (HELD > 2) { x[2 % HELD] = shifted((*last)[2 % HELD], next[2 % HELD], rows[2 % HELD].shift); }
  if (HELD > 3) { x[3 % HELD] = shifted((*last)[3 % HELD], next[3 % HELD], rows[3 % HELD].shift); }
  *last = next;
  return x;
}

fn load_term(row: Row, at: u32) -> f32 {
  return a[row.start * UNIT_A + select(0, row.shift.by, SHIFTED_A) + at];
}

// A single term of them, `at` further.
fn load_terms(rows: array<Row, HELD>, at: u32) -> array<vec4f, HELD> {
  var x: array<vec4f, HELD>;
  x[0].x = load_term(rows[0], at);
  if (HELD > 1) { x[1 % HELD].x = load_term(rows[1 % HELD], at); }
  if (HELD > 2) { x[2 % HELD].x = load_term(rows[2 % HELD], at); }
  if (HELD > 3) { x[3 % HELD].x = load_term(rows[3 % HELD], at); }
  return x;
}

// Four terms of a single row, of which each lane loads one, shared as rows are (see common/rows).
fn row_terms(at: u32, lane: u32) -> vec4f {
  if (SUBGROUP == 4) {
    let term = a[at];
    let mine = vec4f(term, quadSwapX(term), quadSwapY(term), quadSwapDiagonal(term));
    if (!COLUMNS_B) { return mine; }
    let pairs = select(mine, mine.yxwz, vec4<bool>((lane & 1) == 1));
    return select(pairs, pairs.zwxy, vec4<bool>((lane & 2) == 2));
  }
  var term = 0f;
  if (lane < 4) { term = a[at]; }
  return vec4f(subgroupBroadcast(term, 0u), subgroupBroadcast(term, 1u), subgroupBroadcast(term, 2u), subgroupBroadcast(term, 3u));
}

// Which of the four they are, to a lane.
fn terms_of(lane: u32) -> vec4u {
  let terms = vec4u(0, 1, 2, 3);
  return select(terms, terms ^ vec4u(lane), ROWS == 1 && SUBGROUP == 4);
}

// Four columns of a lane: where they begin, in vectors if they are read as such, and what they are shifted by.
struct Columns { starts: vec4u, shifts: array<Shift, 4>, are_inside: vec4<bool> }

// From col on; those past the edge read others instead, and are not stored.
fn columns_at(col: u32, base: u32) -> Columns {
  var columns: Columns;
  columns.are_inside = col + vec4u(0, 1, 2, 3) < vec4u(args.n);
  if (VECTOR_B) {
    columns.starts = vec4u((base + min(col, args.n - 4)) / 4);
    return columns;
  }
  let starts = base + min(col + vec4u(0, 1, 2, 3), vec4u(args.n - 1)) * args.b_n;
  columns.starts = starts / UNIT_B;
  columns.shifts = array(shift_of(starts.x), shift_of(starts.y), shift_of(starts.z), shift_of(starts.w));
  return columns;
}

// A term of four columns, `distance` further.
fn load_b(c: Columns, distance: u32) -> vec4f {
  if (VECTOR_B) { return b4[c.starts.x + distance]; }
  var i = c.starts * UNIT_B + distance;
  if (SHIFTED_B) { i += vec4u(c.shifts[0].by, c.shifts[1].by, c.shifts[2].by, c.shifts[3].by); }
  return vec4f(b[i.x], b[i.y], b[i.z], b[i.w]);
}

// The step-th four terms of the column of a lane that begins at `start`, or its step-th vector; unless columns are read as
// vectors, those four terms that `at` names.
fn load_column(start: u32, step: u32, at: vec4u) -> vec4f {
  if (COLUMNS_B || SHIFTED_B) { return b4[start + step]; }
  let i = start + at;
  return vec4f(b[i.x], b[i.y], b[i.z], b[i.w]);
}

// Of all four of them, or of as many as there are.
fn load_columns(c: Columns, step: u32, at: vec4u) -> mat4x4f {
  if (HANGS_OVER) {
    var terms: mat4x4f;
    if (c.are_inside.x) { terms[0] = load_column(c.starts.x, step, at); }
    if (c.are_inside.y) { terms[1] = load_column(c.starts.y, step, at); }
    if (c.are_inside.z) { terms[2] = load_column(c.starts.z, step, at); }
    if (c.are_inside.w) { terms[3] = load_column(c.starts.w, step, at); }
    return terms;
  }
  return mat4x4f(
    load_column(c.starts.x, step, at),
    load_column(c.starts.y, step, at),
    load_column(c.starts.z, step, at),
    load_column(c.starts.w, step, at),
  );
}

// The columns of four terms.
fn load_terms_b(c: Columns, at: vec4u) -> mat4x4f {
  return mat4x4f(load_b(c, at.x), load_b(c, at.y), load_b(c, at.z), load_b(c, at.w));
}

// The step-th four terms of four columns, after the vectors that the step before has read; `at` as above.
fn next_columns(last: ptr<function, mat4x4f>, c: Columns, step: u32, at: vec4u) -> mat4x4f {
  if (VECTOR_B) {
    if (!HANGS_OVER) { return load_terms_b(c, at); }
    var terms: mat4x4f;
    if (c.are_inside.x) { terms = load_terms_b(c, at); }
    return terms;
  }
  if (!SHIFTED_B) { return transpose(load_columns(c, step, at)); }
  let next = load_columns(c, step + 1, at);
  let terms = transpose(mat4x4f(
    shifted((*last)[0], next[0], c.shifts[0]),
    shifted((*last)[1], next[1], c.shifts[1]),
    shifted((*last)[2], next[2], c.shifts[2]),
    shifted((*last)[3], next[3], c.shifts[3]),
  ));
  *last = next;
  return terms;
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
  var d: Columns;
  if (TWICE) { d = columns_at(col + 4 * SUBGROUP, b_base); }
  var sums = array<vec4f, 16>();
  var sums_below = array<vec4f, 16>();

  // Like all that the loop needs, worked out before it: SwiftShader hoists nothing.
  let b_row = args.b_k / select(1u, 4u, VECTOR_B);
  let rows = rows_of(row, lane, a_base);
  var below: array<Row, HELD>;
  if (STACKED) { below = rows_of(row + ROWS, lane, a_base); }
  let own = a_base + row * args.a_m + lane % 4 * args.a_k;
  let ahead = terms_of(lane) * b_row;
  let steps = terms / 4;
  // The first vectors of all that is shifted.
  var last_rows: array<vec4f, HELD>;
  var last_below: array<vec4f, HELD>;
  var last_c: mat4x4f;
  var last_d: mat4x4f;
  if (SHIFTED_A && ROWS > 1) {
    last_rows = load_rows(rows, lane, 0);
    if (STACKED) { last_below = load_rows(below, lane, 0); }
  }
  if (SHIFTED_B) { last_c = load_columns(c, 0, vec4u()); }
  for (var i = 0u; i < ENDLESS; i++) {
    if (i >= steps) { break; }
    if (ROWS == 1) {
      var x: array<vec4f, HELD>;
      x[0] = row_terms(own + 4 * i * args.a_k, lane);
      let at = 4 * i * b_row + ahead;
      add_rows(&sums, x, next_columns(&last_c, c, i, at));
      if (TWICE) { sums[1] = madd(sums[1], x[0], next_columns(&last_d, d, i, at)); }
    } else {
      let x = next_rows(&last_rows, rows, lane, i);
      let terms_b = next_columns(&last_c, c, i, (4 * i + vec4u(0, 1, 2, 3)) * b_row);
      add_rows(&sums, x, terms_b);
      if (STACKED) { add_rows(&sums_below, next_rows(&last_below, below, lane, i), terms_b); }
    }
  }
  if (RAGGED) {
    for (var k = 4 * steps; k < terms; k++) {
      let x = load_terms(rows, k * args.a_k);
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
