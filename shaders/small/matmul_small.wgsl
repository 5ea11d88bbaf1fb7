// C = clamp(alpha * A·B + beta * bias), f32, of many small matrices: a tile of 4 x 4 per lane, and nothing shared.
//
// The other kernels give a tile to a workgroup, most of which hangs over the edges of a small matrix. Here a workgroup takes
// as many matrices as its lanes have room for.
import package::common::product::Args;
import package::common::grid::linear_workgroup;
import package::common::rows::{ENDLESS, madd};
import package::common::bounds::bounded4;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> b4: array<vec4f>; // b again
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read> a4: array<vec4f>; // a again

const WG: u32 = 64;
// Rows of A, and of B, are whole vectors.
const VECTOR_A: bool = false;
const VECTOR_B: bool = false;
// Rows and columns of C come in whole fours: no tile hangs over an edge.
const WHOLE: bool = false;
// How often there are four terms, up to twice; 3 is more often. SwiftShader goes through a loop once more with no lane active.
const STEPS: u32 = 3;
// Terms that are left behind the last four.
const REST: u32 = 0;
// Whether there is nothing to do to a sum: no bias, no bounds, alpha is 1.
const PLAIN: bool = false;

// The four terms from `term` on of the row that begins at `base`.
fn load_a(base: u32, term: u32) -> vec4f {
  if (VECTOR_A) { return a4[(base + term) / 4]; }
  let i = base + term * args.a_k;
  return vec4f(a[i], a[i + args.a_k], a[i + 2 * args.a_k], a[i + 3 * args.a_k]);
}

// A term of four columns, which begin at c.
fn load_b(c: vec4u, term: u32) -> vec4f {
  if (VECTOR_B) { return b4[(c.x + term * args.b_k) / 4]; }
  let i = c + term * args.b_k;
  return vec4f(b[i.x], b[i.y], b[i.z], b[i.w]);
}

// With four terms more.
fn step(sums: mat4x4f, rows: vec4u, c: vec4u, k: u32) -> mat4x4f {
  let y = mat4x4f(load_b(c, k), load_b(c, k + 1), load_b(c, k + 2), load_b(c, k + 3));
  return mat4x4f(
    madd(sums[0], load_a(rows.x, k), y),
    madd(sums[1], load_a(rows.y, k), y),
    madd(sums[2], load_a(rows.z, k), y),
    madd(sums[3], load_a(rows.w, k), y),
  );
}

// What a single term adds.
fn term(rows: vec4u, c: vec4u, k: u32) -> mat4x4f {
  let i = rows + k * args.a_k;
  let y = load_b(c, k);
  return mat4x4f(a[i.x] * y, a[i.y] * y, a[i.z] * y, a[i.w] * y);
}

fn store(base: u32, row: u32, col: u32, sum: vec4f) {
  let columns = col + vec4u(0, 1, 2, 3);
  let o = base + row * args.out_m + columns * args.out_n;
  var v = sum;
  if (!PLAIN) {
    v *= args.alpha;
    if (args.beta != 0) {
      let i = min(row, args.m - 1) * args.bias_m + min(columns, vec4u(args.n - 1)) * args.bias_n;
      v += args.beta * vec4f(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
    }
    v = bounded4(v, args.lo, args.hi);
  }
  if (WHOLE) {
    out[o.x] = v.x;
    out[o.y] = v.y;
    out[o.z] = v.z;
    out[o.w] = v.w;
    return;
  }
  let inside = (columns < vec4u(args.n)) & vec4<bool>(row < args.m);
  if (inside.x) { out[o.x] = v.x; }
  if (inside.y) { out[o.y] = v.y; }
  if (inside.z) { out[o.z] = v.z; }
  if (inside.w) { out[o.w] = v.w; }
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
  let tile = index - batch * args.plane_groups;
  let tile_m = tile / args.tiles_n;
  let row = 4 * tile_m;
  let col = 4 * (tile - tile_m * args.tiles_n);
  // Rows and columns past the edge read the last one instead, and are not stored.
  let rows = args.a_offset + batch * args.a_batch + min(row + vec4u(0, 1, 2, 3), vec4u(args.m - 1)) * args.a_m;
  let c = args.b_offset + batch * args.b_batch + min(col + vec4u(0, 1, 2, 3), vec4u(args.n - 1)) * args.b_n;
  var sums: mat4x4f; // a column of it is a row of C
  let whole = args.k & ~3u;
  if (STEPS > 2) {
    for (var i = 0u; i < ENDLESS; i++) {
      if (4 * i >= whole) { break; }
      sums = step(sums, rows, c, 4 * i);
    }
  } else {
    if (STEPS > 0) { sums = step(sums, rows, c, 0); }
    if (STEPS > 1) { sums = step(sums, rows, c, 4); }
  }
  if (REST > 0) { sums += term(rows, c, whole); }
  if (REST > 1) { sums += term(rows, c, whole + 1); }
  if (REST > 2) { sums += term(rows, c, whole + 2); }
  let base = args.out_offset + batch * args.out_batch;
  store(base, row, col, sums[0]);
  store(base, row + 1, col, sums[1]);
  store(base, row + 2, col, sums[2]);
  store(base, row + 3, col, sums[3]);
}
