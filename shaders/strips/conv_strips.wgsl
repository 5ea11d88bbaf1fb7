// Convolution of an already padded NCHW input whose neighbouring columns are neighbours in the result, f32: for adapters
// that run on a CPU, where a load costs as much as several multiply-adds (see matmul_subgroup).
//
// An implicit matrix product like conv_subgroup's, but a lane's four columns are four pixels of one row. Their taps of one
// kernel row lie in a strip of KW + 3 numbers, which is loaded once, where conv_subgroup loads 4·KW. Where four does not
// divide a row, its last quad overlaps the one before, and only the pixels of its own are stored.
import package::common::bounds::bounded4;
import package::common::grid::linear_workgroup;
import package::common::weights::{WeightLayout, weight};

enable subgroups;

const SUBGROUP: u32 = 8;
// Rows per tile: an even number up to 16, and up to 2 · SUBGROUP.
const ROWS: u32 = 16;
// Kernel rows and columns (at most 8), so that the loops over them unroll.
const KH: u32 = 3;
const KW: u32 = 3;
// Whether a tensor of the result's layout is added before the bounds.
const RESIDUAL: bool = false;
override WG: u32 = 32;

struct Args {
  m: u32, group_ic: u32, groups: u32, // output and input channels of a group
  x_offset: u32, x_image: u32, x_channel: u32, x_ky: u32, x_oy: u32, // input distance of an image, a channel, a kernel row, an output row
  ow: u32, oh: u32, quads: u32, columns: u32, // output columns (at least 4) and rows; quads of a row, and of the batch
  out_offset: u32, out_image: u32, out_channel: u32, out_oy: u32, out_ox: u32, // where pixels go
  w_rows: u32, w_codes: u32, w_pairs: u32, w_bits: u32, w_scales: u32, w_zeros: u32, w_table: u32, w_group: u32, // see common/weights
  tiles_m: u32, group_workgroups: u32,
  bias: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
// Binding 2 is common/weights' own.
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// Registers, one or two, that hold the weights of a kernel row: row r sits in register r / SUBGROUP, lane r % SUBGROUP.
const HELD: u32 = (ROWS + SUBGROUP - 1) / SUBGROUP;

fn weight_layout() -> WeightLayout {
  return WeightLayout(args.w_rows, args.group_ic * KH * KW, args.w_codes, args.w_pairs, args.w_bits, args.w_scales, args.w_zeros, args.w_table, args.w_group);
}

// Weights of taps k to k + 3, of those that belong to a kernel row of which `left` are left.
fn load_weights(row: u32, k: u32, left: u32, group: u32) -> vec4f {
  let places = weight_layout();
  // A row past the edge reads the last one instead, and is not stored.
  let channel = group * args.m + min(row, args.m - 1);
  var w = vec4f(weight(channel, k, places), 0, 0, 0);
  if (left > 1) { w.y = weight(channel, k + 1, places); }
  if (left > 2) { w.z = weight(channel, k + 2, places); }
  if (left > 3) { w.w = weight(channel, k + 3, places); }
  return w;
}

// What the taps of a kernel row see: numbers 0 to 3 of the strip in a, 4 to 7 in b, 8 to 10 in c.
struct Strip {
  a: vec4f, b: vec4f, c: vec4f,
}

fn load_strip(at: u32) -> Strip {
  var s: Strip;
  s.a = vec4f(x[at], x[at + 1], x[at + 2], x[at + 3]);
  if (KW > 1) { s.b.x = x[at + 4]; }
  if (KW > 2) { s.b.y = x[at + 5]; }
  if (KW > 3) { s.b.z = x[at + 6]; }
  if (KW > 4) { s.b.w = x[at + 7]; }
  if (KW > 5) { s.c.x = x[at + 8]; }
  if (KW > 6) { s.c.y = x[at + 9]; }
  if (KW > 7) { s.c.z = x[at + 10]; }
  return s;
}

fn sweep(acc: vec4f, near: vec4f, far: vec4f, s: Strip) -> vec4f {
  var sum = acc + near.x * s.a;
  if (KW > 1) { sum += near.y * vec4f(s.a.yzw, s.b.x); }
  if (KW > 2) { sum += near.z * vec4f(s.a.zw, s.b.xy); }
  if (KW > 3) { sum += near.w * vec4f(s.a.w, s.b.xyz); }
  if (KW > 4) { sum += far.x * s.b; }
  if (KW > 5) { sum += far.y * vec4f(s.b.yzw, s.c.x); }
  if (KW > 6) { sum += far.z * vec4f(s.b.zw, s.c.xy); }
  if (KW > 7) { sum += far.w * vec4f(s.b.w, s.c.xyz); }
  return sum;
}

fn store(row: u32, group: u32, at: vec4u, writes: vec4<bool>, acc: vec4f) {
  if (row >= args.m) { return; }
  let channel = group * args.m + row;
  var v = acc;
  if (args.bias != 0) { v += bias[channel]; }
  let o = at + channel * args.out_channel;
  if (RESIDUAL) { v += vec4f(residual[o.x], residual[o.y], residual[o.z], residual[o.w]); }
  v = bounded4(v, args.lo, args.hi);
  for (var j = 0u; j < 4; j++) {
    if (writes[j]) { out[o[j]] = v[j]; }
  }
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
  let column = tile / args.tiles_m * SUBGROUP + lane;

  let quad = min(column, args.columns - 1);
  let line = quad / args.quads;
  let image = line / args.oh;
  let oy = line - image * args.oh;
  let wanted = 4 * (quad - line * args.quads);
  let ox = min(wanted, args.ow - 4);
  let at = args.x_offset + image * args.x_image + group * args.group_ic * args.x_channel + oy * args.x_oy + ox;

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

  for (var ic = 0u; ic < args.group_ic; ic++) {
    for (var ky = 0u; ky < KH; ky++) {
      let k = (ic * KH + ky) * KW;
      var near: array<vec4f, HELD>;
      var far: array<vec4f, HELD>;
      near[0] = load_weights(row + lane % ROWS, k, KW, group);
      if (KW > 4) { far[0] = load_weights(row + lane % ROWS, k + 4, KW - 4, group); }
      if (HELD > 1) {
        near[1 % HELD] = load_weights(row + lane + SUBGROUP, k, KW, group);
        if (KW > 4) { far[1 % HELD] = load_weights(row + lane + SUBGROUP, k + 4, KW - 4, group); }
      }
      let strip = load_strip(at + ic * args.x_channel + ky * args.x_ky);
      acc0 = sweep(acc0, subgroupBroadcast(near[0 / SUBGROUP % HELD], 0u % SUBGROUP), subgroupBroadcast(far[0 / SUBGROUP % HELD], 0u % SUBGROUP), strip);
      acc1 = sweep(acc1, subgroupBroadcast(near[1 / SUBGROUP % HELD], 1u % SUBGROUP), subgroupBroadcast(far[1 / SUBGROUP % HELD], 1u % SUBGROUP), strip);
      if (ROWS > 2) {
        acc2 = sweep(acc2, subgroupBroadcast(near[2 / SUBGROUP % HELD], 2u % SUBGROUP), subgroupBroadcast(far[2 / SUBGROUP % HELD], 2u % SUBGROUP), strip);
        acc3 = sweep(acc3, subgroupBroadcast(near[3 / SUBGROUP % HELD], 3u % SUBGROUP), subgroupBroadcast(far[3 / SUBGROUP % HELD], 3u % SUBGROUP), strip);
      }
      if (ROWS > 4) {
        acc4 = sweep(acc4, subgroupBroadcast(near[4 / SUBGROUP % HELD], 4u % SUBGROUP), subgroupBroadcast(far[4 / SUBGROUP % HELD], 4u % SUBGROUP), strip);
        acc5 = sweep(acc5, subgroupBroadcast(near[5 / SUBGROUP % HELD], 5u % SUBGROUP), subgroupBroadcast(far[5 / SUBGROUP % HELD], 5u % SUBGROUP), strip);
      }
      if (ROWS > 6) {
        acc6 = sweep(acc6, subgroupBroadcast(near[6 / SUBGROUP % HELD], 6u % SUBGROUP), subgroupBroadcast(far[6 / SUBGROUP % HELD], 6u % SUBGROUP), strip);
        acc7 = sweep(acc7, subgroupBroadcast(near[7 / SUBGROUP % HELD], 7u % SUBGROUP), subgroupBroadcast(far[7 / SUBGROUP % HELD], 7u % SUBGROUP), strip);
      }
      if (ROWS > 8) {
        acc8 = sweep(acc8, subgroupBroadcast(near[8 / SUBGROUP % HELD], 8u % SUBGROUP), subgroupBroadcast(far[8 / SUBGROUP % HELD], 8u % SUBGROUP), strip);
        acc9 = sweep(acc9, subgroupBroadcast(near[9 / SUBGROUP % HELD], 9u % SUBGROUP), subgroupBroadcast(far[9 / SUBGROUP % HELD], 9u % SUBGROUP), strip);
      }
      if (ROWS > 10) {
        acc10 = sweep(acc10, subgroupBroadcast(near[10 / SUBGROUP % HELD], 10u % SUBGROUP), subgroupBroadcast(far[10 / SUBGROUP % HELD], 10u % SUBGROUP), strip);
        acc11 = sweep(acc11, subgroupBroadcast(near[11 / SUBGROUP % HELD], 11u % SUBGROUP), subgroupBroadcast(far[11 / SUBGROUP % HELD], 11u % SUBGROUP), strip);
      }
      if (ROWS > 12) {
        acc12 = sweep(acc12, subgroupBroadcast(near[12 / SUBGROUP % HELD], 12u % SUBGROUP), subgroupBroadcast(far[12 / SUBGROUP % HELD], 12u % SUBGROUP), strip);
        acc13 = sweep(acc13, subgroupBroadcast(near[13 / SUBGROUP % HELD], 13u % SUBGROUP), subgroupBroadcast(far[13 / SUBGROUP % HELD], 13u % SUBGROUP), strip);
      }
      if (ROWS > 14) {
        acc14 = sweep(acc14, subgroupBroadcast(near[14 / SUBGROUP % HELD], 14u % SUBGROUP), subgroupBroadcast(far[14 / SUBGROUP % HELD], 14u % SUBGROUP), strip);
        acc15 = sweep(acc15, subgroupBroadcast(near[15 / SUBGROUP % HELD], 15u % SUBGROUP), subgroupBroadcast(far[15 / SUBGROUP % HELD], 15u % SUBGROUP), strip);
      }
    }
  }

  let pixels = ox + vec4u(0, 1, 2, 3);
  let writes = (pixels >= vec4u(wanted)) & vec4<bool>(column < args.columns);
  let o = args.out_offset + image * args.out_image + oy * args.out_oy + pixels * args.out_ox;
  store(row + 0, group, o, writes, acc0);
  store(row + 1, group, o, writes, acc1);
  if (ROWS > 2) {
    store(row + 2, group, o, writes, acc2);
    store(row + 3, group, o, writes, acc3);
  }
  if (ROWS > 4) {
    store(row + 4, group, o, writes, acc4);
    store(row + 5, group, o, writes, acc5);
  }
  if (ROWS > 6) {
    store(row + 6, group, o, writes, acc6);
    store(row + 7, group, o, writes, acc7);
  }
  if (ROWS > 8) {
    store(row + 8, group, o, writes, acc8);
    store(row + 9, group, o, writes, acc9);
  }
  if (ROWS > 10) {
    store(row + 10, group, o, writes, acc10);
    store(row + 11, group, o, writes, acc11);
  }
  if (ROWS > 12) {
    store(row + 12, group, o, writes, acc12);
    store(row + 13, group, o, writes, acc13);
  }
  if (ROWS > 14) {
    store(row + 14, group, o, writes, acc14);
    store(row + 15, group, o, writes, acc15);
  }
}
