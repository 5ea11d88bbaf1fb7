// C = clamp(alpha * A·B + beta * bias), f32, with tiles in workgroup memory: for GPUs, and wherever subgroups are missing.
//
// A workgroup of TN x TM invocations computes a tile of 4*TM rows and 4*TN columns, 4x4 per invocation, K_STEP of k at a
// time. A, B and C carry strides for both axes; whichever axis is contiguous is the one that neighbouring invocations
// load along. Tiles hold vec4 of four rows of A, or four columns of B, at one k.
// K can be split: split s sums k in [s*k_chunk, (s+1)*k_chunk) into its own copy of the output
// (`reduce_splits` adds the copies in a fixed order).
//
// In half precision (Tile4 = vec4h, CHAIN > 1) a and b are rounded to half, CHAIN products are summed in half, and those
// sums in f32. With CHAIN = 4 and terms of random signs, that adds 1.5 times the error of rounding a and b (measured).
import package::common::product::{a, args, b, bias, out};
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded;

override TM: u32 = 16;
override TN: u32 = 16;
const K_STEP: u32 = 16;
alias Tile4 = vec4f;
// Divides K_STEP. 1: every product goes into the f32 sum.
const CHAIN: u32 = 1;

var<workgroup> a_tile: array<Tile4, K_STEP * TM>;
var<workgroup> b_tile: array<Tile4, K_STEP * TN>;

// Elements past the edge of m or n repeat the last one and are not stored; past the end of k they are zero.
fn load_a(row: u32, k: u32, k_end: u32, base: u32) -> vec4f {
  if (k >= k_end) { return vec4f(); }
  let i = min(vec4u(row, row + 1, row + 2, row + 3), vec4u(args.m - 1)) * args.a_m + (base + k * args.a_k);
  return vec4f(a[i.x], a[i.y], a[i.z], a[i.w]);
}

fn load_b(col: u32, k: u32, k_end: u32, base: u32) -> vec4f {
  if (k >= k_end) { return vec4f(); }
  let i = min(vec4u(col, col + 1, col + 2, col + 3), vec4u(args.n - 1)) * args.b_n + (base + k * args.b_k);
  return vec4f(b[i.x], b[i.y], b[i.z], b[i.w]);
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

@compute @workgroup_size(TN, TM)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let group = linear_workgroup(wg, count);
  let plane = group / args.plane_groups;
  let split = plane % args.splits;
  let batch = plane / args.splits;
  if (batch >= args.batches) { return; }
  let tile = group % args.plane_groups;
  let row = tile / args.tiles_n * (4 * TM);
  let col = tile % args.tiles_n * (4 * TN);
  let k_begin = split * args.k_chunk;
  let k_end = min(k_begin + args.k_chunk, args.k);
  let a_base = args.a_offset + batch * args.a_batch;
  let b_base = args.b_offset + batch * args.b_batch;

  var acc0 = vec4f();
  var acc1 = vec4f();
  var acc2 = vec4f();
  var acc3 = vec4f();
  for (var k = k_begin; k < k_end; k += K_STEP) {
    for (var i = local; i < K_STEP * TM; i += TM * TN) {
      let along_k = vec2u(i % K_STEP, i / K_STEP);
      let at = select(vec2u(i / TM, i % TM), along_k, args.a_k == 1);
      a_tile[at.x * TM + at.y] = Tile4(load_a(row + 4 * at.y, k + at.x, k_end, a_base));
    }
    for (var i = local; i < K_STEP * TN; i += TM * TN) {
      let along_k = vec2u(i % K_STEP, i / K_STEP);
      let at = select(vec2u(i / TN, i % TN), along_k, args.b_k == 1);
      b_tile[at.x * TN + at.y] = Tile4(load_b(col + 4 * at.y, k + at.x, k_end, b_base));
    }
    workgroupBarrier();
    for (var kk = 0u; kk < K_STEP; kk += CHAIN) {
      if (CHAIN == 1) {
        let x = vec4f(a_tile[kk * TM + id.y]);
        let y = vec4f(b_tile[kk * TN + id.x]);
        acc0 = fma(vec4f(x.x), y, acc0);
        acc1 = fma(vec4f(x.y), y, acc1);
        acc2 = fma(vec4f(x.z), y, acc2);
        acc3 = fma(vec4f(x.w), y, acc3);
      } else {
        var sum0 = Tile4();
        var sum1 = Tile4();
        var sum2 = Tile4();
        var sum3 = Tile4();
        for (var j = kk; j < kk + CHAIN; j++) {
          let x = a_tile[j * TM + id.y];
          let y = b_tile[j * TN + id.x];
          sum0 = fma(Tile4(x.x), y, sum0);
          sum1 = fma(Tile4(x.y), y, sum1);
          sum2 = fma(Tile4(x.z), y, sum2);
          sum3 = fma(Tile4(x.w), y, sum3);
        }
        acc0 += vec4f(sum0);
        acc1 += vec4f(sum1);
        acc2 += vec4f(sum2);
        acc3 += vec4f(sum3);
      }
    }
    workgroupBarrier();
  }

  let o = args.out_offset + batch * args.out_batch + split * args.out_split;
  let r = row + 4 * id.y;
  let c = col + 4 * id.x;
  store(r, c, o, acc0);
  store(r + 1, c, o, acc1);
  store(r + 2, c, o, acc2);
  store(r + 3, c, o, acc3);
}
