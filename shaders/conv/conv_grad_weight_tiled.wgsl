// Weight gradient of a convolution, f32, with tiles in workgroup memory: for GPUs, and wherever subgroups are missing.
// An implicit matrix product: rows are output channels of one group, columns are the weights (ic, ky, kx) of a channel,
// k runs over output pixels. Pixels are split as in conv_grad_weight_subgroup; tiles as in matmul_tiled.
import package::common::grid::linear_workgroup;
import package::common::divide::{divide, divide4};

override TM: u32 = 16;
override TN: u32 = 16;
const K_STEP: u32 = 16;

struct Args {
  m: u32, n: u32, // output channels of a group; input channels of a group * kh * kw
  kw: u32, khw: u32, // taps in a kernel row, and in a kernel
  x_channel: u32, x_ky: u32, x_kx: u32, // input distance of one channel, one kernel row, one kernel column
  x_image: u32, x_group: u32, x_oy: u32, x_ox: u32, // and of one image, one group, one output row, one output column
  ow: u32, ohw: u32, grad_image: u32,
  chunk: u32, chunks: u32, all_chunks: u32, split_chunks: u32, splits: u32, out_split: u32,
  tiles_m: u32, group_workgroups: u32, groups: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

var<workgroup> g_tile: array<vec4f, K_STEP * TM>;
var<workgroup> x_tile: array<vec4f, K_STEP * TN>;

fn load_grad(row: u32, pixel: u32, end: u32, base: u32) -> vec4f {
  if (pixel >= end) { return vec4f(); }
  let i = min(vec4u(row, row + 1, row + 2, row + 3), vec4u(args.m - 1)) * args.ohw + (base + pixel);
  return vec4f(grad[i.x], grad[i.y], grad[i.z], grad[i.w]);
}

fn load_x(at: vec4u, pixel: u32, end: u32) -> vec4f {
  if (pixel >= end) { return vec4f(); }
  let oy = divide(pixel, args.ow);
  let i = at + (oy * args.x_oy + (pixel - oy * args.ow) * args.x_ox);
  return vec4f(x[i.x], x[i.y], x[i.z], x[i.w]);
}

fn store(row: u32, column: u32, base: u32, acc: vec4f) {
  if (row >= args.m) { return; }
  let o = base + row * args.n + column;
  for (var j = 0u; j < 4; j++) {
    if (column + j < args.n) { out[o + j] = acc[j]; }
  }
}

@compute @workgroup_size(TN, TM)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let linear = linear_workgroup(wg, count);
  let plane = linear / args.group_workgroups;
  let split = plane % args.splits;
  let group = plane / args.splits;
  if (group >= args.groups) { return; }
  let tile = linear % args.group_workgroups;
  let row = tile % args.tiles_m * (4 * TM);
  let column = tile / args.tiles_m * (4 * TN) + 4 * id.x;
  let tap = min(vec4u(column, column + 1, column + 2, column + 3), vec4u(args.n - 1));
  let ic = divide4(tap, args.khw);
  let in_kernel = tap - ic * args.khw;
  let ky = divide4(in_kernel, args.kw);
  let column_at = group * args.x_group + ic * args.x_channel + ky * args.x_ky + (in_kernel - ky * args.kw) * args.x_kx;

  var acc0 = vec4f();
  var acc1 = vec4f();
  var acc2 = vec4f();
  var acc3 = vec4f();
  let end_chunk = min((split + 1) * args.split_chunks, args.all_chunks);
  for (var c = split * args.split_chunks; c < end_chunk; c++) {
    let image = c / args.chunks;
    let begin = c % args.chunks * args.chunk;
    let end = min(begin + args.chunk, args.ohw);
    let at = column_at + image * args.x_image;
    let g_image = image * args.grad_image + group * args.m * args.ohw;
    for (var pixel = begin; pixel < end; pixel += K_STEP) {
      for (var i = local; i < K_STEP * TM; i += TM * TN) {
        g_tile[i % K_STEP * TM + i / K_STEP] = load_grad(row + 4 * (i / K_STEP), pixel + i % K_STEP, end, g_image);
      }
      for (var kk = id.y; kk < K_STEP; kk += TM) {
        x_tile[kk * TN + id.x] = load_x(at, pixel + kk, end);
      }
      workgroupBarrier();
      for (var kk = 0u; kk < K_STEP; kk++) {
        let g = g_tile[kk * TM + id.y];
        let v = x_tile[kk * TN + id.x];
        acc0 = fma(vec4f(g.x), v, acc0);
        acc1 = fma(vec4f(g.y), v, acc1);
        acc2 = fma(vec4f(g.z), v, acc2);
        acc3 = fma(vec4f(g.w), v, acc3);
      }
      workgroupBarrier();
    }
  }

  let o = split * args.out_split + group * args.m * args.n;
  let r = row + 4 * id.y;
  store(r, column, o, acc0);
  store(r + 1, column, o, acc1);
  store(r + 2, column, o, acc2);
  store(r + 3, column, o, acc3);
}
