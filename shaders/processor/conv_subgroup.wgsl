// Convolution of an already padded NCHW input, f32: for adapters that run on a CPU (see matmul_subgroup).
//
// An implicit matrix product: rows are output channels of one group, columns are output pixels flattened
// over the batch, k runs over the taps (ic, ky, kx). Each lane owns four columns, whose addresses in the
// input it works out once; a tap adds the same distance to all of them. Lanes 0..3 work out the distances
// of the next four taps and the subgroup broadcasts them, so no table and no bounds check is needed.
import package::common::grid::linear_workgroup;
import package::common::rows::{ENDLESS, HELD, ROWS, SUBGROUP, add_rows, held_rows, row_of};
import package::common::conv::{args, store, weight_layout, x};
import package::common::weights::weight4;

enable subgroups;

// Arguments and bindings are common/conv's, and these.
@group(0) @binding(6) var<storage, read> x4: array<vec4f>; // x again

// Whether taps lie next to each other in the input and come in whole vectors, as terms of dense layers do: a vector for four
// numbers, each of which would be in a line of the cache of its own, and of rows of a power of two all in the same set.
const VECTORS: bool = false;

// Weights of taps past the last are zero.
fn load_weights(row: u32, k: u32, group: u32) -> vec4f {
  let w = weight4(group * args.m + row, k, weight_layout());
  return select(vec4f(), w, vec4u(k, k + 1, k + 2, k + 3) < vec4u(args.k));
}

fn load_x(at: vec4u, tap: u32) -> vec4f {
  return vec4f(x[at.x + tap], x[at.y + tap], x[at.z + tap], x[at.w + tap]);
}

// Four taps of four columns, by their vectors.
fn load_vectors(v: vec4u) -> mat4x4f {
  return transpose(mat4x4f(x4[v.x], x4[v.y], x4[v.z], x4[v.w]));
}

fn tap_distance(k: u32) -> u32 {
  let ic = k / args.khw;
  let in_kernel = k - ic * args.khw;
  let ky = in_kernel / args.kw;
  return ic * args.x_channel + ky * args.x_ky + (in_kernel - ky * args.kw) * args.x_kx;
}

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let linear = linear_workgroup(wg, count);
  let group = linear / args.group_workgroups;
  if (group >= args.groups) { return; }
  let tile = linear % args.group_workgroups;
  let row = tile % args.tiles_m * ROWS;
  let pixel = tile / args.tiles_m * (4 * SUBGROUP) + 4 * lane;

  let p = min(vec4u(pixel, pixel + 1, pixel + 2, pixel + 3), vec4u(args.n - 1));
  let image = p / args.ohw;
  let in_image = p - image * args.ohw;
  let oy = in_image / args.ow;
  let ox = in_image - oy * args.ow;
  let at = image * args.x_image + oy * args.x_oy + ox * args.x_ox + (args.x_offset + group * args.x_group);
  var sums = array<vec4f, 16>();

  // A row past the edge reads the last one instead, and is not stored.
  let held = held_rows(row, args.m - 1, lane);
  let steps = (args.k + 3) / 4;
  let last = args.k - 1;
  let last_distance = tap_distance(last);
  // Where lane l's tap is, of taps 4i + l: it moves by four every turn, which may end a kernel row and a kernel.
  let kh = args.khw / args.kw;
  let four_rows = 4 / args.kw;
  let four_channels = four_rows / kh;
  let next_x = 4 - four_rows * args.kw;
  let next_y = four_rows - four_channels * kh;
  let next = four_channels * args.x_channel + next_y * args.x_ky + next_x * args.x_kx;
  let row_end = args.x_ky - args.kw * args.x_kx;
  let kernel_end = args.x_channel - kh * args.x_ky;
  let kw = args.kw;
  var distance = tap_distance(lane % 4);
  var vectors: vec4u;
  if (VECTORS) { vectors = at / 4; }
  var ky = lane % 4 % args.khw / kw;
  var kx = lane % 4 % kw;
  for (var i = 0u; i < ENDLESS; i++) {
    if (i >= steps) { break; }
    let k = 4 * i;
    var w: array<vec4f, HELD>;
    w[0] = load_weights(held[0], k, group);
    if (HELD > 1) { w[1 % HELD] = load_weights(held[1 % HELD], k, group); }
    if (HELD > 2) {
      w[2 % HELD] = load_weights(held[2 % HELD], k, group);
      w[3 % HELD] = load_weights(held[3 % HELD], k, group);
    }
    if (VECTORS) {
      add_rows(&sums, w, load_vectors(vectors + i));
      continue;
    }
    let own = select(distance, last_distance, k + lane % 4 > last);
    kx += next_x;
    let ends_row = kx >= kw;
    kx -= select(0u, kw, ends_row);
    ky += next_y + u32(ends_row);
    let ends_kernel = ky >= kh;
    ky -= select(0u, kh, ends_kernel);
    distance += next + select(0u, row_end, ends_row) + select(0u, kernel_end, ends_kernel);
    add_rows(&sums, w, mat4x4f(
      load_x(at, subgroupBroadcast(own, 0u)),
      load_x(at, subgroupBroadcast(own, 1u)),
      load_x(at, subgroupBroadcast(own, 2u)),
      load_x(at, subgroupBroadcast(own, 3u)),
    ));
  }

  let o = image * args.out_image + oy * args.out_oy + ox * args.out_ox + args.out_offset;
  var results = sums; // see matmul_subgroup
  for (var r = 0u; r < ROWS; r++) { store(row + row_of(r, lane), pixel, group, o, results[r]); }
}
