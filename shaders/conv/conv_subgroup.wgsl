// Convolution of an already padded NCHW input, f32: for adapters that run on a CPU (see matmul_subgroup).
//
// An implicit matrix product: rows are output channels of one group, columns are output pixels flattened
// over the batch, k runs over the taps (ic, ky, kx). Each lane owns four columns, whose addresses in the
// input it works out once; a tap adds the same distance to all of them. Lanes 0..3 work out the distances
// of the next four taps and the subgroup broadcasts them, so no table and no bounds check is needed.
import package::common::grid::linear_workgroup;
import package::common::madd::madd;
import package::common::conv::{args, store, weight_layout, x};
import package::common::weights::weight4;

enable subgroups;

const SUBGROUP: u32 = 8;
// Rows per tile: 4, 8 or 16.
const ROWS: u32 = 16;
override WG: u32 = 32;

// Arguments and bindings are common/conv's.

// Registers that hold the weights of four taps: row r sits in register r / SUBGROUP, lane r % SUBGROUP.
const HELD: u32 = (ROWS + SUBGROUP - 1) / SUBGROUP;

// A row past the edge reads the last one instead, and is not stored.
// Weights of taps past the last are zero.
fn load_weights(row: u32, k: u32, group: u32) -> vec4f {
  let w = weight4(group * args.m + min(row, args.m - 1), k, weight_layout());
  return select(vec4f(), w, vec4u(k, k + 1, k + 2, k + 3) < vec4u(args.k));
}

fn load_x(at: vec4u, tap: u32) -> vec4f {
  return vec4f(x[at.x + tap], x[at.y + tap], x[at.z + tap], x[at.w + tap]);
}

fn tap_distance(k: u32) -> u32 {
  let ic = k / args.khw;
  let in_kernel = k - ic * args.khw;
  let ky = in_kernel / args.kw;
  return ic * args.x_channel + ky * args.x_ky + (in_kernel - ky * args.kw) * args.x_kx;
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let linear = linear_workgroup(wg, count);
  let group = linear / args.group_workgroups;
  if (group >= args.groups) { return; }
  let lane = local % SUBGROUP;
  let tile = linear % args.group_workgroups * (WG / SUBGROUP) + local / SUBGROUP;
  let row = tile % args.tiles_m * ROWS;
  let pixel = tile / args.tiles_m * (4 * SUBGROUP) + 4 * lane;

  let p = min(vec4u(pixel, pixel + 1, pixel + 2, pixel + 3), vec4u(args.n - 1));
  let image = p / args.ohw;
  let in_image = p - image * args.ohw;
  let oy = in_image / args.ow;
  let ox = in_image - oy * args.ow;
  let at = image * args.x_image + oy * args.x_oy + ox * args.x_ox + (args.x_offset + group * args.x_group);

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

  let steps = (args.k + 3) / 4;
  for (var i = 0u; i < steps; i++) {
    let k = 4 * i;
    let distance = tap_distance(min(k + lane % 4, args.k - 1));
    var w: array<vec4f, HELD>;
    w[0] = load_weights(row + lane % ROWS, k, group);
    if (HELD > 1) { w[1 % HELD] = load_weights(row + lane + SUBGROUP, k, group); }
    if (HELD > 2) {
      w[2 % HELD] = load_weights(row + lane + 2 * SUBGROUP, k, group);
      w[3 % HELD] = load_weights(row + lane + 3 * SUBGROUP, k, group);
    }
    let x0 = load_x(at, subgroupBroadcast(distance, 0u));
    let x1 = load_x(at, subgroupBroadcast(distance, 1u));
    let x2 = load_x(at, subgroupBroadcast(distance, 2u));
    let x3 = load_x(at, subgroupBroadcast(distance, 3u));
    acc0 = madd(acc0, subgroupBroadcast(w[0 / SUBGROUP % HELD], 0u % SUBGROUP), x0, x1, x2, x3);
    acc1 = madd(acc1, subgroupBroadcast(w[1 / SUBGROUP % HELD], 1u % SUBGROUP), x0, x1, x2, x3);
    acc2 = madd(acc2, subgroupBroadcast(w[2 / SUBGROUP % HELD], 2u % SUBGROUP), x0, x1, x2, x3);
    acc3 = madd(acc3, subgroupBroadcast(w[3 / SUBGROUP % HELD], 3u % SUBGROUP), x0, x1, x2, x3);
    if (ROWS > 4) {
      acc4 = madd(acc4, subgroupBroadcast(w[4 / SUBGROUP % HELD], 4u % SUBGROUP), x0, x1, x2, x3);
      acc5 = madd(acc5, subgroupBroadcast(w[5 / SUBGROUP % HELD], 5u % SUBGROUP), x0, x1, x2, x3);
      acc6 = madd(acc6, subgroupBroadcast(w[6 / SUBGROUP % HELD], 6u % SUBGROUP), x0, x1, x2, x3);
      acc7 = madd(acc7, subgroupBroadcast(w[7 / SUBGROUP % HELD], 7u % SUBGROUP), x0, x1, x2, x3);
    }
    if (ROWS > 8) {
      acc8 = madd(acc8, subgroupBroadcast(w[8 / SUBGROUP % HELD], 8u % SUBGROUP), x0, x1, x2, x3);
      acc9 = madd(acc9, subgroupBroadcast(w[9 / SUBGROUP % HELD], 9u % SUBGROUP), x0, x1, x2, x3);
      acc10 = madd(acc10, subgroupBroadcast(w[10 / SUBGROUP % HELD], 10u % SUBGROUP), x0, x1, x2, x3);
      acc11 = madd(acc11, subgroupBroadcast(w[11 / SUBGROUP % HELD], 11u % SUBGROUP), x0, x1, x2, x3);
      acc12 = madd(acc12, subgroupBroadcast(w[12 / SUBGROUP % HELD], 12u % SUBGROUP), x0, x1, x2, x3);
      acc13 = madd(acc13, subgroupBroadcast(w[13 / SUBGROUP % HELD], 13u % SUBGROUP), x0, x1, x2, x3);
      acc14 = madd(acc14, subgroupBroadcast(w[14 / SUBGROUP % HELD], 14u % SUBGROUP), x0, x1, x2, x3);
      acc15 = madd(acc15, subgroupBroadcast(w[15 / SUBGROUP % HELD], 15u % SUBGROUP), x0, x1, x2, x3);
    }
  }

  let o = image * args.out_image + oy * args.out_oy + ox * args.out_ox + args.out_offset;
  store(row + 0, pixel, group, o, acc0);
  store(row + 1, pixel, group, o, acc1);
  store(row + 2, pixel, group, o, acc2);
  store(row + 3, pixel, group, o, acc3);
  if (ROWS > 4) {
    store(row + 4, pixel, group, o, acc4);
    store(row + 5, pixel, group, o, acc5);
    store(row + 6, pixel, group, o, acc6);
    store(row + 7, pixel, group, o, acc7);
  }
  if (ROWS > 8) {
    store(row + 8, pixel, group, o, acc8);
    store(row + 9, pixel, group, o, acc9);
    store(row + 10, pixel, group, o, acc10);
    store(row + 11, pixel, group, o, acc11);
    store(row + 12, pixel, group, o, acc12);
    store(row + 13, pixel, group, o, acc13);
    store(row + 14, pixel, group, o, acc14);
    store(row + 15, pixel, group, o, acc15);
  }
}
