// Weight gradient of a convolution, f32: for adapters that run on a CPU (see conv_subgroup).
//
// An implicit matrix product: rows are output channels of one group, columns are the weights (ic, ky, kx) of a
// channel, k runs over output pixels. Rows come from the output's gradient, four consecutive pixels per lane,
// and are broadcast; a column's address in the padded input is worked out once, and a pixel adds the same
// distance to all of them.
// Pixels are split: an image is cut into `chunks` of `chunk` pixels, and split s sums `split_chunks` of these into
// its own copy of the output (`reduce_splits` adds the copies in a fixed order).
import package::common::grid::linear_workgroup;
import package::common::madd::madd;

enable subgroups;

const SUBGROUP: u32 = 8;
// Rows per tile: 4, 8 or 16.
const ROWS: u32 = 16;
override WG: u32 = 32;

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

// Registers that hold four pixels of the gradient: row r sits in register r / SUBGROUP, lane r % SUBGROUP.
const HELD: u32 = (ROWS + SUBGROUP - 1) / SUBGROUP;

// A row past the edge reads the last one instead, and is not stored.
fn load_grad(row: u32, base: u32) -> vec4f {
  let i = base + min(row, args.m - 1) * args.ohw;
  return vec4f(grad[i], grad[i + 1], grad[i + 2], grad[i + 3]);
}

fn load_x(at: vec4u, pixel: u32) -> vec4f {
  return vec4f(x[at.x + pixel], x[at.y + pixel], x[at.z + pixel], x[at.w + pixel]);
}

fn pixel_distance(pixel: u32) -> u32 {
  let oy = pixel / args.ow;
  return oy * args.x_oy + (pixel - oy * args.ow) * args.x_ox;
}

fn store(row: u32, column: u32, base: u32, acc: vec4f) {
  if (row >= args.m) { return; }
  let o = base + row * args.n + column;
  for (var j = 0u; j < 4; j++) {
    if (column + j < args.n) { out[o + j] = acc[j]; }
  }
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  // Group and split come from the workgroup alone, so that the loops are uniform control flow.
  let linear = linear_workgroup(wg, count);
  let plane = linear / args.group_workgroups;
  let split = plane % args.splits;
  let group = plane / args.splits;
  if (group >= args.groups) { return; }
  let lane = local % SUBGROUP;
  let tile = linear % args.group_workgroups * (WG / SUBGROUP) + local / SUBGROUP;
  let row = tile % args.tiles_m * ROWS;
  let column = tile / args.tiles_m * (4 * SUBGROUP) + 4 * lane;

  let tap = min(vec4u(column, column + 1, column + 2, column + 3), vec4u(args.n - 1));
  let ic = tap / args.khw;
  let in_kernel = tap - ic * args.khw;
  let ky = in_kernel / args.kw;
  let column_at = group * args.x_group + ic * args.x_channel + ky * args.x_ky + (in_kernel - ky * args.kw) * args.x_kx;

  var acc0 = vec4f();
  var acc1 = vec4f();
  var acc2 = vec4f();
  var acc3 = vec4f();
  var acc4 = vec4f();
  var acc5 = vec4f();
  var acc6 = vec4f();
  var acc7 = vec4f();
  var acc8 = vec4f();
  var acc9 = vec4f();
  var acc10 = vec4f();
  var acc11 = vec4f();
  var acc12 = vec4f();
  var acc13 = vec4f();
  var acc14 = vec4f();
  var acc15 = vec4f();

  let end_chunk = min((split + 1) * args.split_chunks, args.all_chunks);
  for (var c = split * args.split_chunks; c < end_chunk; c++) {
    let image = c / args.chunks;
    let begin = c % args.chunks * args.chunk;
    let end = min(begin + args.chunk, args.ohw);
    let at = column_at + image * args.x_image;
    let g_image = image * args.grad_image + group * args.m * args.ohw;
    let steps = (end - begin) / 4;
    for (var i = 0u; i < steps; i++) {
      let pixel = begin + 4 * i;
      let distance = pixel_distance(pixel + lane % 4);
      var g: array<vec4f, HELD>;
      g[0] = load_grad(row + lane % ROWS, g_image + pixel);
      if (HELD > 1) { g[1 % HELD] = load_grad(row + lane + SUBGROUP, g_image + pixel); }
      if (HELD > 2) {
        g[2 % HELD] = load_grad(row + lane + 2 * SUBGROUP, g_image + pixel);
        g[3 % HELD] = load_grad(row + lane + 3 * SUBGROUP, g_image + pixel);
      }
      let x0 = load_x(at, subgroupBroadcast(distance, 0u));
      let x1 = load_x(at, subgroupBroadcast(distance, 1u));
      let x2 = load_x(at, subgroupBroadcast(distance, 2u));
      let x3 = load_x(at, subgroupBroadcast(distance, 3u));
      acc0 = madd(acc0, subgroupBroadcast(g[0 / SUBGROUP % HELD], 0u % SUBGROUP), x0, x1, x2, x3);
      acc1 = madd(acc1, subgroupBroadcast(g[1 / SUBGROUP % HELD], 1u % SUBGROUP), x0, x1, x2, x3);
      acc2 = madd(acc2, subgroupBroadcast(g[2 / SUBGROUP % HELD], 2u % SUBGROUP), x0, x1, x2, x3);
      acc3 = madd(acc3, subgroupBroadcast(g[3 / SUBGROUP % HELD], 3u % SUBGROUP), x0, x1, x2, x3);
      if (ROWS > 4) {
        acc4 = madd(acc4, subgroupBroadcast(g[4 / SUBGROUP % HELD], 4u % SUBGROUP), x0, x1, x2, x3);
        acc5 = madd(acc5, subgroupBroadcast(g[5 / SUBGROUP % HELD], 5u % SUBGROUP), x0, x1, x2, x3);
        acc6 = madd(acc6, subgroupBroadcast(g[6 / SUBGROUP % HELD], 6u % SUBGROUP), x0, x1, x2, x3);
        acc7 = madd(acc7, subgroupBroadcast(g[7 / SUBGROUP % HELD], 7u % SUBGROUP), x0, x1, x2, x3);
      }
      if (ROWS > 8) {
        acc8 = madd(acc8, subgroupBroadcast(g[8 / SUBGROUP % HELD], 8u % SUBGROUP), x0, x1, x2, x3);
        acc9 = madd(acc9, subgroupBroadcast(g[9 / SUBGROUP % HELD], 9u % SUBGROUP), x0, x1, x2, x3);
        acc10 = madd(acc10, subgroupBroadcast(g[10 / SUBGROUP % HELD], 10u % SUBGROUP), x0, x1, x2, x3);
        acc11 = madd(acc11, subgroupBroadcast(g[11 / SUBGROUP % HELD], 11u % SUBGROUP), x0, x1, x2, x3);
        acc12 = madd(acc12, subgroupBroadcast(g[12 / SUBGROUP % HELD], 12u % SUBGROUP), x0, x1, x2, x3);
        acc13 = madd(acc13, subgroupBroadcast(g[13 / SUBGROUP % HELD], 13u % SUBGROUP), x0, x1, x2, x3);
        acc14 = madd(acc14, subgroupBroadcast(g[14 / SUBGROUP % HELD], 14u % SUBGROUP), x0, x1, x2, x3);
        acc15 = madd(acc15, subgroupBroadcast(g[15 / SUBGROUP % HELD], 15u % SUBGROUP), x0, x1, x2, x3);
      }
    }
    let last = args.m - 1;
    for (var pixel = begin + 4 * steps; pixel < end; pixel++) {
      let xk = load_x(at, pixel_distance(pixel));
      acc0 += grad[g_image + min(row + 0, last) * args.ohw + pixel] * xk;
      acc1 += grad[g_image + min(row + 1, last) * args.ohw + pixel] * xk;
      acc2 += grad[g_image + min(row + 2, last) * args.ohw + pixel] * xk;
      acc3 += grad[g_image + min(row + 3, last) * args.ohw + pixel] * xk;
      if (ROWS > 4) {
        acc4 += grad[g_image + min(row + 4, last) * args.ohw + pixel] * xk;
        acc5 += grad[g_image + min(row + 5, last) * args.ohw + pixel] * xk;
        acc6 += grad[g_image + min(row + 6, last) * args.ohw + pixel] * xk;
        acc7 += grad[g_image + min(row + 7, last) * args.ohw + pixel] * xk;
      }
      if (ROWS > 8) {
        acc8 += grad[g_image + min(row + 8, last) * args.ohw + pixel] * xk;
        acc9 += grad[g_image + min(row + 9, last) * args.ohw + pixel] * xk;
        acc10 += grad[g_image + min(row + 10, last) * args.ohw + pixel] * xk;
        acc11 += grad[g_image + min(row + 11, last) * args.ohw + pixel] * xk;
        acc12 += grad[g_image + min(row + 12, last) * args.ohw + pixel] * xk;
        acc13 += grad[g_image + min(row + 13, last) * args.ohw + pixel] * xk;
        acc14 += grad[g_image + min(row + 14, last) * args.ohw + pixel] * xk;
        acc15 += grad[g_image + min(row + 15, last) * args.ohw + pixel] * xk;
      }
    }
  }

  let o = split * args.out_split + group * args.m * args.n;
  store(row + 0, column, o, acc0);
  store(row + 1, column, o, acc1);
  store(row + 2, column, o, acc2);
  store(row + 3, column, o, acc3);
  if (ROWS > 4) {
    store(row + 4, column, o, acc4);
    store(row + 5, column, o, acc5);
    store(row + 6, column, o, acc6);
    store(row + 7, column, o, acc7);
  }
  if (ROWS > 8) {
    store(row + 8, column, o, acc8);
    store(row + 9, column, o, acc9);
    store(row + 10, column, o, acc10);
    store(row + 11, column, o, acc11);
    store(row + 12, column, o, acc12);
    store(row + 13, column, o, acc13);
    store(row + 14, column, o, acc14);
    store(row + 15, column, o, acc15);
  }
}
