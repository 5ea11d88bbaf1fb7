// Weight gradient of a convolution, f32: for adapters that run on a CPU (see conv_subgroup).
//
// An implicit matrix product: rows are output channels of one group, columns are the weights (ic, ky, kx) of a
// channel, k runs over output pixels. Rows come from the output's gradient, four consecutive pixels per lane,
// and are broadcast; a column's address in the padded input is worked out once, and a pixel adds the same
// distance to all of them.
// Pixels are split: an image is cut into `chunks` of `chunk` pixels, and split s sums `split_chunks` of these into
// its own copy of the output (`reduce_splits` adds the copies in a fixed order).
import package::common::grid::linear_workgroup;
import package::common::rows::{HELD, ROWS, SUBGROUP, add_rows, held_row, row_of};

enable subgroups;

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
@group(0) @binding(4) var<storage, read> grad4: array<vec4f>; // grad again

// Images of grad are whole vectors: one load instead of four.
const VECTOR: bool = false;

fn load_grad(i: u32) -> vec4f {
  if (VECTOR) { return grad4[i >> 2u]; }
  return vec4f(grad[i], grad[i + 1], grad[i + 2], grad[i + 3]);
}

// Where a row begins. A row past the edge reads the last one instead, and is not stored.
fn row_at(row: u32) -> u32 {
  return min(row, args.m - 1) * args.ohw;
}

fn load_x(at: vec4u, pixel: u32) -> vec4f {
  return vec4f(x[at.x + pixel], x[at.y + pixel], x[at.z + pixel], x[at.w + pixel]);
}

fn pixel_distance(pixel: u32) -> u32 {
  let oy = pixel / args.ow;
  return oy * args.x_oy + (pixel - oy * args.ow) * args.x_ox;
}

// Where the sums of a lane go.
struct Place { row: u32, lane: u32, col: u32, base: u32 }

fn store(at: Place, r: u32, sum: vec4f) {
  let row = at.row + row_of(r, at.lane);
  let columns = at.col + vec4u(0, 1, 2, 3);
  let o = at.base + row * args.n + columns;
  // Written out: SwiftShader is faster without a loop.
  let inside = (columns < vec4u(args.n)) & vec4<bool>(row < args.m);
  if (inside.x) { out[o.x] = sum.x; }
  if (inside.y) { out[o.y] = sum.y; }
  if (inside.z) { out[o.z] = sum.z; }
  if (inside.w) { out[o.w] = sum.w; }
}

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  // Group and split come from the workgroup alone, so that the loops are uniform control flow.
  let linear = linear_workgroup(wg, count);
  let plane = linear / args.group_workgroups;
  let split = plane % args.splits;
  let group = plane / args.splits;
  if (group >= args.groups) { return; }
  let tile = linear % args.group_workgroups;
  let row = tile % args.tiles_m * ROWS;
  let column = tile / args.tiles_m * (4 * SUBGROUP) + 4 * lane;

  let tap = min(vec4u(column, column + 1, column + 2, column + 3), vec4u(args.n - 1));
  let ic = tap / args.khw;
  let in_kernel = tap - ic * args.khw;
  let ky = in_kernel / args.kw;
  let column_at = group * args.x_group + ic * args.x_channel + ky * args.x_ky + (in_kernel - ky * args.kw) * args.x_kx;
  var sums = array<vec4f, 16>();

  // Rows that this lane holds. Worked out before the loop, since SwiftShader hoists nothing.
  var held: array<u32, HELD>;
  held[0] = row_at(row + held_row(0, lane));
  if (HELD > 1) { held[1 % HELD] = row_at(row + held_row(1, lane)); }
  if (HELD > 2) {
    held[2 % HELD] = row_at(row + held_row(2, lane));
    held[3 % HELD] = row_at(row + held_row(3, lane));
  }

  let end_chunk = min((split + 1) * args.split_chunks, args.all_chunks);
  for (var c = split * args.split_chunks; c < end_chunk; c++) {
    let image = c / args.chunks;
    let begin = c % args.chunks * args.chunk;
    let end = min(begin + args.chunk, args.ohw);
    let x_at = column_at + image * args.x_image;
    let g_image = image * args.grad_image + group * args.m * args.ohw;
    let steps = (end - begin) / 4;
    for (var i = 0u; i < steps; i++) {
      let pixel = begin + 4 * i;
      let distance = pixel_distance(pixel + lane % 4);
      var g: array<vec4f, HELD>;
      g[0] = load_grad(g_image + pixel + held[0]);
      if (HELD > 1) { g[1 % HELD] = load_grad(g_image + pixel + held[1 % HELD]); }
      if (HELD > 2) {
        g[2 % HELD] = load_grad(g_image + pixel + held[2 % HELD]);
        g[3 % HELD] = load_grad(g_image + pixel + held[3 % HELD]);
      }
      add_rows(&sums, g, mat4x4f(
        load_x(x_at, subgroupBroadcast(distance, 0u)),
        load_x(x_at, subgroupBroadcast(distance, 1u)),
        load_x(x_at, subgroupBroadcast(distance, 2u)),
        load_x(x_at, subgroupBroadcast(distance, 3u)),
      ));
    }
    for (var pixel = begin + 4 * steps; pixel < end; pixel++) {
      var g: array<vec4f, HELD>;
      g[0].x = grad[g_image + pixel + held[0]];
      if (HELD > 1) { g[1 % HELD].x = grad[g_image + pixel + held[1 % HELD]]; }
      if (HELD > 2) {
        g[2 % HELD].x = grad[g_image + pixel + held[2 % HELD]];
        g[3 % HELD].x = grad[g_image + pixel + held[3 % HELD]];
      }
      add_rows(&sums, g, mat4x4f(load_x(x_at, pixel_distance(pixel)), vec4f(), vec4f(), vec4f()));
    }
  }

  let at = Place(row, lane, column, split * args.out_split + group * args.m * args.n);
  var results = sums; // see matmul_subgroup
  for (var r = 0u; r < ROWS; r++) { store(at, r, results[r]); }
}
