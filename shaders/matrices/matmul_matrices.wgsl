// C = clamp(alpha * A·B + beta * bias), f32, by subgroup matrices: for GPUs with units for small matrix products. The
// arguments are those of matmul_tiled. It holds its own copies of common/grid and common/bounds, because the linker does
// not know the types.
//
// A workgroup has SUBGROUPS_M x SUBGROUPS_N subgroups; each keeps MATRICES_M x MATRICES_N results of M x N. A and B go
// through workgroup memory K_STEP of k at a time, rounded to Component there, with zeros beyond the edges. Sums are f32.
// LANES is the largest size that a subgroup may have: of smaller ones there are more, and those above the count only load
// and store.
enable chromium_experimental_subgroup_matrix;
enable subgroups;

alias Component = f32;
// Of one product, as the adapter lists them: M x K by K x N.
const M: u32 = 8;
const N: u32 = 8;
const K: u32 = 8;
const LANES: u32 = 32;
const SUBGROUPS_M: u32 = 2;
const SUBGROUPS_N: u32 = 2;
const MATRICES_M: u32 = 4;
const MATRICES_N: u32 = 4;
const K_STEP: u32 = 16;
// Components between the rows of a tile, 16 bytes: the rows of a matrix then begin in different banks, and aligned.
const PADDING: u32 = 4;
// Subgroups that bring a result to the output at a time; divides their number.
const STORING: u32 = 4;

alias Left = subgroup_matrix_left<Component, K, M>;
alias Right = subgroup_matrix_right<Component, N, K>;
alias Result = subgroup_matrix_result<f32, N, M>;

const SUBGROUPS = SUBGROUPS_M * SUBGROUPS_N;
const WG = SUBGROUPS * LANES;
const ROWS = SUBGROUPS_M * MATRICES_M * M;
const COLUMNS = SUBGROUPS_N * MATRICES_N * N;
const A_STRIDE = K_STEP + PADDING;
const B_STRIDE = COLUMNS + PADDING;

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
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

var<workgroup> a_tile: array<Component, ROWS * A_STRIDE>; // [row][k]
var<workgroup> b_tile: array<Component, K_STEP * B_STRIDE>; // [k][column]
var<workgroup> results: array<f32, STORING * M * N>;

fn load_a(row: u32, k: u32, k_end: u32, base: u32) -> Component {
  if (row >= args.m || k >= k_end) { return Component(); }
  return Component(a[base + row * args.a_m + k * args.a_k]);
}

fn load_b(k: u32, col: u32, k_end: u32, base: u32) -> Component {
  if (col >= args.n || k >= k_end) { return Component(); }
  return Component(b[base + k * args.b_k + col * args.b_n]);
}

// By comparisons, not min and max, so that a NaN stays visible.
fn bounded(v: f32, lo: f32, hi: f32) -> f32 {
  let raised = select(v, lo, v < lo);
  return select(raised, hi, raised > hi);
}

fn store(row: u32, col: u32, base: u32, sum: f32) {
  if (row >= args.m || col >= args.n) { return; }
  var v = args.alpha * sum;
  if (args.beta != 0) { v += args.beta * bias[row * args.bias_m + col * args.bias_n]; }
  out[base + row * args.out_m + col * args.out_n] = bounded(v, args.lo, args.hi);
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  // A grid beyond 65,535 workgroups in x folds into y.
  let group = wg.x + wg.y * count.x;
  let plane = group / args.plane_groups;
  let split = plane % args.splits;
  let batch = plane / args.splits;
  if (batch >= args.batches) { return; }
  let tile = group % args.plane_groups;
  let row = tile / args.tiles_n * ROWS;
  let col = tile % args.tiles_n * COLUMNS;
  let k_begin = split * args.k_chunk;
  let k_end = min(k_begin + args.k_chunk, args.k);
  let a_base = args.a_offset + batch * args.a_batch;
  let b_base = args.b_offset + batch * args.b_batch;
  let multiplies = subgroup < SUBGROUPS;
  let a_first = subgroup / SUBGROUPS_N * MATRICES_M * M * A_STRIDE;
  let b_first = subgroup % SUBGROUPS_N * MATRICES_N * N;

  var sums: array<Result, MATRICES_M * MATRICES_N>;
  for (var k = k_begin; k < k_end; k += K_STEP) {
    for (var e = local; e < ROWS * K_STEP; e += WG) {
      // Neighbours load along the contiguous axis.
      let at = select(vec2u(e % ROWS, e / ROWS), vec2u(e / K_STEP, e % K_STEP), args.a_k == 1);
      a_tile[at.x * A_STRIDE + at.y] = load_a(row + at.x, k + at.y, k_end, a_base);
    }
    for (var e = local; e < K_STEP * COLUMNS; e += WG) {
      let at = select(vec2u(e / COLUMNS, e % COLUMNS), vec2u(e % K_STEP, e / K_STEP), args.b_k == 1);
      b_tile[at.x * B_STRIDE + at.y] = load_b(k + at.x, col + at.y, k_end, b_base);
    }
    workgroupBarrier();
    if (multiplies) {
      for (var kk = 0u; kk < K_STEP; kk += K) {
        var left: array<Left, MATRICES_M>;
        for (var i = 0u; i < MATRICES_M; i++) {
          left[i] = subgroupMatrixLoad<Left, row_major>(&a_tile, a_first + i * M * A_STRIDE + kk, A_STRIDE);
        }
        for (var j = 0u; j < MATRICES_N; j++) {
          let right = subgroupMatrixLoad<Right, row_major>(&b_tile, kk * B_STRIDE + b_first + j * N, B_STRIDE);
          for (var i = 0u; i < MATRICES_M; i++) {
            sums[i * MATRICES_N + j] = subgroupMatrixMultiplyAccumulate(left[i], right, sums[i * MATRICES_N + j]);
          }
        }
      }
    }
    workgroupBarrier();
  }

  let o = args.out_offset + batch * args.out_batch + split * args.out_split;
  for (var first = 0u; first < SUBGROUPS; first += STORING) {
    for (var i = 0u; i < MATRICES_M * MATRICES_N; i++) {
      if (subgroup >= first && subgroup < first + STORING) {
        subgroupMatrixStore<row_major>(&results, (subgroup - first) * M * N, sums[i], N);
      }
      workgroupBarrier();
      for (var e = local; e < STORING * M * N; e += WG) {
        let source = first + e / (M * N);
        let r = (source / SUBGROUPS_N * MATRICES_M + i / MATRICES_N) * M + e / N % M;
        let c = (source % SUBGROUPS_N * MATRICES_N + i % MATRICES_N) * N + e % N;
        store(row + r, col + c, o, results[e]);
      }
      workgroupBarrier();
    }
  }
}
