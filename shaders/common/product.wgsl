// What all kernels of C = clamp(alpha * A·B + beta * bias) take.
//
// A, B and C carry strides for both of their axes, so a transposed operand is the same kernel.
import package::common::bounds::bounded4;

struct Args {
  m: u32, n: u32, k: u32,
  a_offset: u32, a_batch: u32, a_m: u32, a_k: u32,
  b_offset: u32, b_batch: u32, b_k: u32, b_n: u32,
  out_offset: u32, out_batch: u32, out_m: u32, out_n: u32,
  bias_m: u32, bias_n: u32, // strides of the bias; 0 broadcasts it
  // Of kernels that can split k: split s sums k in [s*k_chunk, (s+1)*k_chunk) into its own copy of the output.
  k_chunk: u32, splits: u32, out_split: u32,
  tiles_n: u32, plane_groups: u32, batches: u32, // a plane is one split of one product, and has so many tiles
  alpha: f32, beta: f32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read> a4: array<vec4f>; // a again
@group(0) @binding(6) var<storage, read> b4: array<vec4f>; // b again

// Rows of A, and of B (columns of it, for dot products), are whole vectors: one load instead of four.
const VECTOR_A: bool = false;
const VECTOR_B: bool = false;
// Whether there is nothing to do to a sum, that is, no bias, no bounds, and alpha is 1. SwiftShader goes through the code for
// the other case all the same.
const PLAIN: bool = false;

// The four terms from `term` on of the row of A that begins at `base`.
fn terms_of_a(base: u32, term: u32) -> vec4f {
  if (VECTOR_A) { return a4[(base + term) / 4]; }
  let i = base + term * args.a_k;
  return vec4f(a[i], a[i + args.a_k], a[i + 2 * args.a_k], a[i + 3 * args.a_k]);
}

// A term of the four columns of B that begin at c.
fn columns_of_b(c: vec4u, term: u32) -> vec4f {
  if (VECTOR_B) { return b4[(c.x + term * args.b_k) / 4]; }
  let i = c + term * args.b_k;
  return vec4f(b[i.x], b[i.y], b[i.z], b[i.w]);
}

// What it takes to finish and to store sums, asked for before a loop: SwiftShader hoists nothing.
struct Place { base: u32, m: u32, n: u32, out_m: u32, out_n: u32, alpha: f32, lo: f32, hi: f32 }

fn place_at(base: u32) -> Place {
  return Place(base, args.m, args.n, args.out_m, args.out_n, args.alpha, args.lo, args.hi);
}

// What becomes of the sums of four columns of a row. Of one past the edge, something that is not to be stored.
fn finished(at: Place, row: u32, columns: vec4u, sum: vec4f) -> vec4f {
  if (PLAIN) { return sum; }
  var v = at.alpha * sum;
  if (args.beta != 0) {
    let i = row * args.bias_m + min(columns, vec4u(at.n - 1)) * args.bias_n;
    v += args.beta * vec4f(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
  }
  return bounded4(v, at.lo, at.hi);
}

// Stores four columns of a row, as far as they are there.
fn store_four(at: Place, row: u32, col: u32, sum: vec4f) {
  let columns = col + vec4u(0, 1, 2, 3);
  let o = at.base + row * at.out_m + columns * at.out_n;
  let v = finished(at, row, columns, sum);
  // Written out: SwiftShader is faster without the loop.
  let inside = (columns < vec4u(at.n)) & vec4<bool>(row < at.m);
  if (inside.x) { out[o.x] = v.x; }
  if (inside.y) { out[o.y] = v.y; }
  if (inside.z) { out[o.z] = v.z; }
  if (inside.w) { out[o.w] = v.w; }
}
