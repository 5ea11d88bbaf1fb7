// Convolution of an already padded NCHW input, f32, with tiles in workgroup memory: for GPUs, and wherever subgroups are
// missing. An implicit matrix product: rows are output channels of one group, columns are output pixels flattened over
// the batch, k runs over the taps (ic, ky, kx). Tiles and the rest as in matmul_tiled.
import package::common::grid::linear_workgroup;
import package::common::divide::{divide, divide4};
import package::common::conv::{args, store, weight_layout, x};
import package::common::weights::weight;

override TM: u32 = 16;
override TN: u32 = 16;
const K_STEP: u32 = 16;

// Arguments and bindings are common/conv's.

// vec4h where the weights are float16: the same numbers in half the workgroup memory and traffic.
alias Weights4 = vec4f;
// In half precision both are vec4h, and CHAIN products are summed in half, as in matmul_tiled.
alias Pixels4 = vec4f;
const CHAIN: u32 = 1;

var<workgroup> w_tile: array<Weights4, K_STEP * TM>;
var<workgroup> x_tile: array<Pixels4, K_STEP * TN>;

fn load_weights(row: u32, k: u32, group: u32) -> vec4f {
  if (k >= args.k) { return vec4f(); }
  let r = min(vec4u(row, row + 1, row + 2, row + 3), vec4u(args.m - 1)) + group * args.m;
  let w = weight_layout();
  return vec4f(weight(r.x, k, w), weight(r.y, k, w), weight(r.z, k, w), weight(r.w, k, w));
}

fn load_x(at: vec4u, k: u32) -> vec4f {
  if (k >= args.k) { return vec4f(); }
  let ic = divide(k, args.khw);
  let in_kernel = k - ic * args.khw;
  let ky = divide(in_kernel, args.kw);
  let i = at + (ic * args.x_channel + ky * args.x_ky + (in_kernel - ky * args.kw) * args.x_kx);
  return vec4f(x[i.x], x[i.y], x[i.z], x[i.w]);
}

@compute @workgroup_size(TN, TM)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let linear = linear_workgroup(wg, count);
  let group = linear / args.group_workgroups;
  if (group >= args.groups) { return; }
  let tile = linear % args.group_workgroups;
  let row = tile % args.tiles_m * (4 * TM);
  let pixel = tile / args.tiles_m * (4 * TN) + 4 * id.x;
  let p = min(vec4u(pixel, pixel + 1, pixel + 2, pixel + 3), vec4u(args.n - 1));
  let image = divide4(p, args.ohw);
  let in_image = p - image * args.ohw;
  let oy = divide4(in_image, args.ow);
  let ox = in_image - oy * args.ow;
  let at = image * args.x_image + oy * args.x_oy + ox * args.x_ox + (args.x_offset + group * args.x_group);

  var acc0 = vec4f();
  var acc1 = vec4f();
  var acc2 = vec4f();
  var acc3 = vec4f();
  for (var k = 0u; k < args.k; k += K_STEP) {
    for (var i = local; i < K_STEP * TM; i += TM * TN) {
      w_tile[i % K_STEP * TM + i / K_STEP] = Weights4(load_weights(row + 4 * (i / K_STEP), k + i % K_STEP, group));
    }
    for (var kk = id.y; kk < K_STEP; kk += TM) {
      x_tile[kk * TN + id.x] = Pixels4(load_x(at, k + kk));
    }
    workgroupBarrier();
    for (var kk = 0u; kk < K_STEP; kk += CHAIN) {
      if (CHAIN == 1) {
        let w = vec4f(w_tile[kk * TM + id.y]);
        let v = vec4f(x_tile[kk * TN + id.x]);
        acc0 = fma(vec4f(w.x), v, acc0);
        acc1 = fma(vec4f(w.y), v, acc1);
        acc2 = fma(vec4f(w.z), v, acc2);
        acc3 = fma(vec4f(w.w), v, acc3);
      } else {
        var sum0 = Pixels4();
        var sum1 = Pixels4();
        var sum2 = Pixels4();
        var sum3 = Pixels4();
        for (var j = kk; j < kk + CHAIN; j++) {
          let w = Pixels4(w_tile[j * TM + id.y]);
          let v = x_tile[j * TN + id.x];
          sum0 = fma(Pixels4(w.x), v, sum0);
          sum1 = fma(Pixels4(w.y), v, sum1);
          sum2 = fma(Pixels4(w.z), v, sum2);
          sum3 = fma(Pixels4(w.w), v, sum3);
        }
        acc0 += vec4f(sum0);
        acc1 += vec4f(sum1);
        acc2 += vec4f(sum2);
        acc3 += vec4f(sum3);
      }
    }
    workgroupBarrier();
  }

  let o = image * args.out_image + oy * args.out_oy + ox * args.out_ox + args.out_offset;
  let r = row + 4 * id.y;
  store(r, pixel, group, o, acc0);
  store(r + 1, pixel, group, o, acc1);
  store(r + 2, pixel, group, o, acc2);
  store(r + 3, pixel, group, o, acc3);
}
