// What dots_subgroup and dots_workgroup share: their interface, the sum of a lane, and what becomes of the sums.
//
// ROWS x 4 of C are computed by LANES lanes, which go along k, four terms each: B, whose columns lie term by term, is then
// read in whole vectors and from front to back. Lanes of which each takes a column of its own would read at distances of
// a whole column, which map to one set of a processor's cache where a column is a power of two.
import package::common::product::{VECTOR_A, VECTOR_B, a, a4, args, b, b4, bias, out};
import package::common::bounds::bounded;
import package::common::rows::ENDLESS;

const LANES: u32 = 8;
// 1, 2 or 4.
const ROWS: u32 = 1;
// Whether a single row takes four columns more, which share its loads: their sums are `r1`. By subgroups only.
const WIDE: bool = false;
// Whether there is a single column, which is then loaded once.
const SINGLE: bool = false;

// Of four columns, by rows.
struct Sums { r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f }

struct Tile { batch: u32, split: u32, row: u32, column: u32 }

fn tile_of(group: u32) -> Tile {
  let plane = group / args.plane_groups;
  let tile = group % args.plane_groups;
  let column = tile % args.tiles_n * select(4u, 8u, WIDE);
  return Tile(plane / args.splits, plane % args.splits, tile / args.tiles_n * ROWS, column);
}

// Four terms.
fn load_a(base: u32, step: u32) -> vec4f {
  if (VECTOR_A) { return a4[base + step]; }
  let i = base + 4 * step * args.a_k;
  return vec4f(a[i], a[i + args.a_k], a[i + 2 * args.a_k], a[i + 3 * args.a_k]);
}

fn load_b(base: u32, step: u32) -> vec4f {
  if (VECTOR_B) { return b4[base + step]; }
  let i = base + 4 * step * args.b_k;
  return vec4f(b[i], b[i + args.b_k], b[i + 2 * args.b_k], b[i + 3 * args.b_k]);
}

// Of four columns.
fn load_columns(bases: vec4u, step: u32) -> mat4x4f {
  let first = load_b(bases.x, step);
  if (SINGLE) { return mat4x4f(first, vec4f(), vec4f(), vec4f()); }
  return mat4x4f(first, load_b(bases.y, step), load_b(bases.z, step), load_b(bases.w, step));
}

// Sum by sum, from the first product to the addition (see common/rows).
fn madd(sum: vec4f, x: vec4f, y: mat4x4f) -> vec4f {
  return vec4f(
    (x.x * y[0].x + x.y * y[0].y + x.z * y[0].z + x.w * y[0].w) + sum.x,
    (x.x * y[1].x + x.y * y[1].y + x.z * y[1].z + x.w * y[1].w) + sum.y,
    (x.x * y[2].x + x.y * y[2].y + x.z * y[2].z + x.w * y[2].w) + sum.z,
    (x.x * y[3].x + x.y * y[3].y + x.z * y[3].z + x.w * y[3].w) + sum.w,
  );
}

// A lane's part of the tile. A row or a column past the edge repeats the last one.
fn lane_sums(tile: Tile, lane: u32) -> Sums {
  let four = vec4u(0, 1, 2, 3);
  let k_begin = tile.split * args.k_chunk;
  let terms = min(k_begin + args.k_chunk, args.k) - min(k_begin, args.k);
  let a_base = args.a_offset + tile.batch * args.a_batch + k_begin * args.a_k;
  let rows = a_base + min(tile.row + four, vec4u(args.m - 1)) * args.a_m;
  let b_base = args.b_offset + tile.batch * args.b_batch + k_begin * args.b_k;
  let columns = b_base + min(tile.column + four, vec4u(args.n - 1)) * args.b_n;
  let further = b_base + min(tile.column + 4 + four, vec4u(args.n - 1)) * args.b_n;
  let a_at = rows / select(1u, 4u, VECTOR_A);
  let b_at = columns / select(1u, 4u, VECTOR_B);
  let c_at = further / select(1u, 4u, VECTOR_B);
  var r0 = vec4f();
  var r1 = vec4f();
  var r2 = vec4f();
  var r3 = vec4f();
  let steps = terms / (4 * LANES);
  for (var i = 0u; i < ENDLESS; i++) {
    if (i >= steps) { break; }
    let step = i * LANES + lane;
    let y = load_columns(b_at, step);
    let x = load_a(a_at.x, step);
    r0 = madd(r0, x, y);
    if (WIDE) { r1 = madd(r1, x, load_columns(c_at, step)); }
    if (ROWS > 1) { r1 = madd(r1, load_a(a_at.y, step), y); }
    if (ROWS > 2) {
      r2 = madd(r2, load_a(a_at.z, step), y);
      r3 = madd(r3, load_a(a_at.w, step), y);
    }
  }
  // The last few terms, of which a lane takes one at a time.
  for (var k = steps * 4 * LANES + lane; k < terms; k += LANES) {
    let i = columns + k * args.b_k;
    let y = vec4f(b[i.x], b[i.y], b[i.z], b[i.w]);
    let x = rows + k * args.a_k;
    r0 += a[x.x] * y;
    if (WIDE) {
      let j = further + k * args.b_k;
      r1 += a[x.x] * vec4f(b[j.x], b[j.y], b[j.z], b[j.w]);
    }
    if (ROWS > 1) { r1 += a[x.y] * y; }
    if (ROWS > 2) {
      r2 += a[x.z] * y;
      r3 += a[x.w] * y;
    }
  }
  return Sums(r0, r1, r2, r3);
}

// Each of the first four lanes stores a column.
fn store(tile: Tile, r: u32, lane: u32, sums: vec4f) {
  let row = tile.row + r;
  let column = tile.column + lane;
  if (lane >= 4 || row >= args.m || column >= args.n) { return; }
  var v = args.alpha * sums[lane % 4];
  if (args.beta != 0) { v += args.beta * bias[row * args.bias_m + column * args.bias_n]; }
  let base = args.out_offset + tile.batch * args.out_batch + tile.split * args.out_split;
  out[base + row * args.out_m + column * args.out_n] = bounded(v, args.lo, args.hi);
}
