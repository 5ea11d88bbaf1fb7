// Convolution of an already padded NCHW input whose neighbouring columns are neighbours in the result, f32: for adapters
// that run on a CPU, where a load costs as much as several multiply-adds (see matmul_subgroup).
//
// An implicit matrix product like conv_subgroup's, but a lane's four columns are four pixels of one row. Their taps of one
// kernel row lie in a strip of KW + 3 numbers, which is loaded once, where conv_subgroup loads 4·KW. Where four does not
// divide a row, its last quad overlaps the one before, and only the pixels of its own are stored; unless rows of the input
// are whole vectors: then the quad reads on, and strips come in two or three loads.
import package::common::bounds::bounded4;
import package::common::grid::linear_workgroup;
import package::common::rows::{ENDLESS, HELD, ROWS, SUBGROUP, held_row, row_of, row0, row1, row2, row3, row4, row5, row6, row7, row8, row9, row10, row11, row12, row13, row14, row15};
import package::common::weights::{WeightLayout, weight};

enable subgroups;

// Quads of pixels per lane, 1 or 2; with 2, at most 8 rows.
const QUADS: u32 = 1;
// Kernel rows and columns (at most 8), so that the loops over them unroll.
const KH: u32 = 3;
const KW: u32 = 3;
// Whether a step takes all rows of a kernel, at most three columns wide, rather than one: for SwiftShader, which merges
// all sums after every step of a loop. Others are slower then.
const UNROLLED: bool = false;
// Whether all distances in the input are whole vectors: they are counted in those then.
const ALIGNED: bool = false;
// Whether a tensor of the result's layout is added before the bounds.
const RESIDUAL: bool = false;

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
@group(0) @binding(6) var<storage, read> x4: array<vec4f>; // x again

fn weight_layout() -> WeightLayout {
  return WeightLayout(args.w_rows, args.group_ic * KH * KW, args.w_codes, args.w_pairs, args.w_bits, args.w_scales, args.w_zeros, args.w_table, args.w_group);
}

// The channels of a tile, as a lane sees them.
struct Rows { first: u32, lane: u32, group: u32 }

// Weights of taps k to k + 3, of those that belong to a kernel row of which `left` are left.
fn load_weights(rows: Rows, h: u32, k: u32, left: u32) -> vec4f {
  let places = weight_layout();
  // A row past the edge reads the last one instead, and is not stored.
  let channel = rows.group * args.m + min(rows.first + held_row(h, rows.lane), args.m - 1);
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
  if (ALIGNED) {
    s.a = x4[at];
    if (KW > 1) { s.b = x4[at + 1]; }
    if (KW > 5) { s.c = x4[at + 2]; }
    return s;
  }
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

// What a kernel row adds to a pixel that sees the strip from p on.
fn pixel(sum: f32, near: vec4f, far: vec4f, p: vec4f, q: vec4f) -> f32 {
  var v = near.x * p.x;
  if (KW > 1) { v += near.y * p.y; }
  if (KW > 2) { v += near.z * p.z; }
  if (KW > 3) { v += near.w * p.w; }
  if (KW > 4) { v += far.x * q.x; }
  if (KW > 5) { v += far.y * q.y; }
  if (KW > 6) { v += far.z * q.z; }
  if (KW > 7) { v += far.w * q.w; }
  return v + sum;
}

fn sweep(acc: vec4f, near: vec4f, far: vec4f, s: Strip) -> vec4f {
  let s1 = vec4f(s.a.yzw, s.b.x);
  let s2 = vec4f(s.a.zw, s.b.xy);
  let s3 = vec4f(s.a.w, s.b.xyz);
  let s5 = vec4f(s.b.yzw, s.c.x);
  let s6 = vec4f(s.b.zw, s.c.xy);
  let s7 = vec4f(s.b.w, s.c.xyz);
  // Sum by sum, or term by term: see common/rows.
  if (SUBGROUP == 4) {
    return vec4f(
      pixel(acc.x, near, far, s.a, s.b),
      pixel(acc.y, near, far, s1, s5),
      pixel(acc.z, near, far, s2, s6),
      pixel(acc.w, near, far, s3, s7),
    );
  }
  var sum = acc + near.x * s.a;
  if (KW > 1) { sum += near.y * s1; }
  if (KW > 2) { sum += near.z * s2; }
  if (KW > 3) { sum += near.w * s3; }
  if (KW > 4) { sum += far.x * s.b; }
  if (KW > 5) { sum += far.y * s5; }
  if (KW > 6) { sum += far.z * s6; }
  if (KW > 7) { sum += far.w * s7; }
  return sum;
}

fn store(rows: Rows, quad: Quad, r: u32, acc: vec4f) {
  let row = rows.first + row_of(r, rows.lane);
  if (row >= args.m) { return; }
  let channel = rows.group * args.m + row;
  var v = acc;
  if (args.bias != 0) { v += bias[channel]; }
  let o = quad.out + channel * args.out_channel;
  if (RESIDUAL) { v += vec4f(residual[o.x], residual[o.y], residual[o.z], residual[o.w]); }
  v = bounded4(v, args.lo, args.hi);
  if (quad.writes.x) { out[o.x] = v.x; }
  if (quad.writes.y) { out[o.y] = v.y; }
  if (quad.writes.z) { out[o.z] = v.z; }
  if (quad.writes.w) { out[o.w] = v.w; }
}

// A quad of pixels: where its strips begin, where its pixels go, and which of these are its own.
struct Quad {
  strip: u32,
  out: vec4u,
  writes: vec4<bool>,
}

fn quad_at(column: u32, group: u32) -> Quad {
  let quad = min(column, args.columns - 1);
  let line = quad / args.quads;
  let image = line / args.oh;
  let oy = line - image * args.oh;
  let unit = quad - line * args.quads;
  let wanted = 4 * unit;
  let ox = select(min(wanted, args.ow - 4), wanted, ALIGNED);
  let pixels = ox + vec4u(0, 1, 2, 3);
  return Quad(
    args.x_offset + image * args.x_image + group * args.group_ic * args.x_channel + oy * args.x_oy + select(ox, unit, ALIGNED),
    args.out_offset + image * args.out_image + oy * args.out_oy + pixels * args.out_ox,
    (pixels >= vec4u(wanted)) & (pixels < vec4u(args.ow)) & vec4<bool>(column < args.columns),
  );
}

// Adds what one row of the kernel makes of one input channel.
fn add_row(acc: ptr<function, array<vec4f, 16>>, rows: Rows, ic: u32, ky: u32, first: u32, second: u32) {
  let k = (ic * KH + ky) * KW;
  var near: array<vec4f, HELD>;
  var far: array<vec4f, HELD>;
  near[0] = load_weights(rows, 0, k, KW);
  if (KW > 4) { far[0] = load_weights(rows, 0, k + 4, KW - 4); }
  if (HELD > 1) {
    near[1 % HELD] = load_weights(rows, 1, k, KW);
    if (KW > 4) { far[1 % HELD] = load_weights(rows, 1, k + 4, KW - 4); }
  }
  let distance = ic * args.x_channel + ky * args.x_ky;
  let s = load_strip(first + distance);
  (*acc)[0] = sweep((*acc)[0], row0(near[0 / SUBGROUP % HELD]), row0(far[0 / SUBGROUP % HELD]), s);
  (*acc)[1] = sweep((*acc)[1], row1(near[1 / SUBGROUP % HELD]), row1(far[1 / SUBGROUP % HELD]), s);
  if (ROWS > 2) {
    (*acc)[2] = sweep((*acc)[2], row2(near[2 / SUBGROUP % HELD]), row2(far[2 / SUBGROUP % HELD]), s);
    (*acc)[3] = sweep((*acc)[3], row3(near[3 / SUBGROUP % HELD]), row3(far[3 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 4) {
    (*acc)[4] = sweep((*acc)[4], row4(near[4 / SUBGROUP % HELD]), row4(far[4 / SUBGROUP % HELD]), s);
    (*acc)[5] = sweep((*acc)[5], row5(near[5 / SUBGROUP % HELD]), row5(far[5 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 6) {
    (*acc)[6] = sweep((*acc)[6], row6(near[6 / SUBGROUP % HELD]), row6(far[6 / SUBGROUP % HELD]), s);
    (*acc)[7] = sweep((*acc)[7], row7(near[7 / SUBGROUP % HELD]), row7(far[7 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 8) {
    (*acc)[8] = sweep((*acc)[8], row8(near[8 / SUBGROUP % HELD]), row8(far[8 / SUBGROUP % HELD]), s);
    (*acc)[9] = sweep((*acc)[9], row9(near[9 / SUBGROUP % HELD]), row9(far[9 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 10) {
    (*acc)[10] = sweep((*acc)[10], row10(near[10 / SUBGROUP % HELD]), row10(far[10 / SUBGROUP % HELD]), s);
    (*acc)[11] = sweep((*acc)[11], row11(near[11 / SUBGROUP % HELD]), row11(far[11 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 12) {
    (*acc)[12] = sweep((*acc)[12], row12(near[12 / SUBGROUP % HELD]), row12(far[12 / SUBGROUP % HELD]), s);
    (*acc)[13] = sweep((*acc)[13], row13(near[13 / SUBGROUP % HELD]), row13(far[13 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 14) {
    (*acc)[14] = sweep((*acc)[14], row14(near[14 / SUBGROUP % HELD]), row14(far[14 / SUBGROUP % HELD]), s);
    (*acc)[15] = sweep((*acc)[15], row15(near[15 / SUBGROUP % HELD]), row15(far[15 / SUBGROUP % HELD]), s);
  }
  if (QUADS > 1) {
    let t = load_strip(second + distance);
    (*acc)[8] = sweep((*acc)[8], row0(near[0 / SUBGROUP % HELD]), row0(far[0 / SUBGROUP % HELD]), t);
    (*acc)[9] = sweep((*acc)[9], row1(near[1 / SUBGROUP % HELD]), row1(far[1 / SUBGROUP % HELD]), t);
    if (ROWS > 2) {
      (*acc)[10] = sweep((*acc)[10], row2(near[2 / SUBGROUP % HELD]), row2(far[2 / SUBGROUP % HELD]), t);
      (*acc)[11] = sweep((*acc)[11], row3(near[3 / SUBGROUP % HELD]), row3(far[3 / SUBGROUP % HELD]), t);
    }
    if (ROWS > 4) {
      (*acc)[12] = sweep((*acc)[12], row4(near[4 / SUBGROUP % HELD]), row4(far[4 / SUBGROUP % HELD]), t);
      (*acc)[13] = sweep((*acc)[13], row5(near[5 / SUBGROUP % HELD]), row5(far[5 / SUBGROUP % HELD]), t);
    }
    if (ROWS > 6) {
      (*acc)[14] = sweep((*acc)[14], row6(near[6 / SUBGROUP % HELD]), row6(far[6 / SUBGROUP % HELD]), t);
      (*acc)[15] = sweep((*acc)[15], row7(near[7 / SUBGROUP % HELD]), row7(far[7 / SUBGROUP % HELD]), t);
    }
  }
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
  let rows = Rows(tile % args.tiles_m * ROWS, lane, group);
  let column = tile / args.tiles_m * (QUADS * SUBGROUP) + lane;
  let first = quad_at(column, group);
  var second = first;
  if (QUADS > 1) { second = quad_at(column + SUBGROUP, group); }

  var acc = array<vec4f, 16>();
  for (var ic = 0u; ic < ENDLESS; ic++) {
    if (ic >= args.group_ic) { break; }
    if (!UNROLLED) {
      for (var ky = 0u; ky < KH; ky++) { add_row(&acc, rows, ic, ky, first.strip, second.strip); }
    } else {
      add_row(&acc, rows, ic, 0, first.strip, second.strip);
      if (KH > 1) { add_row(&acc, rows, ic, 1, first.strip, second.strip); }
      if (KH > 2) { add_row(&acc, rows, ic, 2, first.strip, second.strip); }
      for (var ky = 3u; ky < KH; ky++) { add_row(&acc, rows, ic, ky, first.strip, second.strip); }
    }
  }

  var results = acc; // see matmul_subgroup
  for (var r = 0u; r < ROWS; r++) {
    store(rows, first, r, results[r]);
    if (QUADS > 1) { store(rows, second, r, results[8 + r]); }
  }
}
