// Convolution of an already padded NCHW input whose neighbouring columns are neighbours in the result, f32: for adapters
// that run on a CPU, where a load costs as much as several multiply-adds (see matmul_subgroup).
//
// An implicit matrix product like conv_subgroup's, but a lane's four columns are four pixels of one row. Their taps of one
// kernel row lie in a strip of KW + 3 numbers, which is loaded once, where conv_subgroup loads 4·KW. Where four does not
// divide a row, its last quad overlaps the one before, and only the pixels of its own are stored; unless rows of the input
// are whole vectors: then the quad reads on, and strips come in two or three loads.
import package::common::bounds::bounded4;
import package::common::grid::linear_workgroup;
import package::common::rows::{ENDLESS, HELD, ROWS, SUBGROUP, held_rows, row_of, row0, row1, row2, row3, row4, row5, row6, row7, row8, row9, row10, row11, row12, row13, row14, row15};
import package::common::weights::{BITS, WeightLayout, weight, weights};

enable subgroups;

// Quads of pixels per lane, 1 or 2; with 2, at most 8 rows.
const QUADS: u32 = 1;
// Kernel rows and columns (at most 8), so that the loops over them unroll.
const KH: u32 = 3;
const KW: u32 = 3;
// Whether one loop goes over channels and rows of the kernel: for SwiftShader, which merges all sums after every turn, and
// again where a loop ends. Others unroll the inner one.
const ONE_LOOP: bool = SUBGROUP == 4;
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
struct Rows {
  first: u32, lane: u32, group: u32,
  // Of the rows that the lane holds: the channel, or where its weights begin, if they are floats.
  held: array<u32, HELD>,
}

fn rows_at(first: u32, lane: u32, group: u32) -> Rows {
  // A row past the edge reads the last one instead, and is not stored.
  var held = held_rows(first, args.m - 1, lane);
  let k = select(1u, args.group_ic * KH * KW, BITS == 32);
  let base = group * args.m * k + select(0u, args.w_codes, BITS == 32);
  held[0] = base + held[0] * k;
  if (HELD > 1) { held[1 % HELD] = base + held[1 % HELD] * k; }
  return Rows(first, lane, group, held);
}

fn weight_at(row: u32, k: u32) -> f32 {
  if (BITS == 32) { return bitcast<f32>(weights[row + k]); }
  return weight(row, k, weight_layout());
}

// Weights of taps k to k + 3, of those that belong to a kernel row of which `left` are left.
fn load_weights(row: u32, k: u32, left: u32) -> vec4f {
  var w = vec4f(weight_at(row, k), 0, 0, 0);
  if (left > 1) { w.y = weight_at(row, k + 1); }
  if (left > 2) { w.z = weight_at(row, k + 2); }
  if (left > 3) { w.w = weight_at(row, k + 3); }
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

// Weights of one row of the kernel, in the lanes that hold them.
struct KernelRow {
  near: array<vec4f, HELD>,
  far: array<vec4f, HELD>,
}

fn load_kernel_row(rows: Rows, k: u32) -> KernelRow {
  var w: KernelRow;
  w.near[0] = load_weights(rows.held[0], k, KW);
  if (KW > 4) { w.far[0] = load_weights(rows.held[0], k + 4, KW - 4); }
  if (HELD > 1) {
    w.near[1 % HELD] = load_weights(rows.held[1 % HELD], k, KW);
    if (KW > 4) { w.far[1 % HELD] = load_weights(rows.held[1 % HELD], k + 4, KW - 4); }
  }
  return w;
}

// Adds what a row of the kernel makes of a strip to the sums from `at` on.
fn add_strip(acc: ptr<function, array<vec4f, 16>>, at: u32, w: KernelRow, s: Strip) {
  (*acc)[at] = sweep((*acc)[at], row0(w.near[0 / SUBGROUP % HELD]), row0(w.far[0 / SUBGROUP % HELD]), s);
  (*acc)[at + 1] = sweep((*acc)[at + 1], row1(w.near[1 / SUBGROUP % HELD]), row1(w.far[1 / SUBGROUP % HELD]), s);
  if (ROWS > 2) {
    (*acc)[at + 2] = sweep((*acc)[at + 2], row2(w.near[2 / SUBGROUP % HELD]), row2(w.far[2 / SUBGROUP % HELD]), s);
    (*acc)[at + 3] = sweep((*acc)[at + 3], row3(w.near[3 / SUBGROUP % HELD]), row3(w.far[3 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 4) {
    (*acc)[at + 4] = sweep((*acc)[at + 4], row4(w.near[4 / SUBGROUP % HELD]), row4(w.far[4 / SUBGROUP % HELD]), s);
    (*acc)[at + 5] = sweep((*acc)[at + 5], row5(w.near[5 / SUBGROUP % HELD]), row5(w.far[5 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 6) {
    (*acc)[at + 6] = sweep((*acc)[at + 6], row6(w.near[6 / SUBGROUP % HELD]), row6(w.far[6 / SUBGROUP % HELD]), s);
    (*acc)[at + 7] = sweep((*acc)[at + 7], row7(w.near[7 / SUBGROUP % HELD]), row7(w.far[7 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 8) {
    (*acc)[at + 8] = sweep((*acc)[at + 8], row8(w.near[8 / SUBGROUP % HELD]), row8(w.far[8 / SUBGROUP % HELD]), s);
    (*acc)[at + 9] = sweep((*acc)[at + 9], row9(w.near[9 / SUBGROUP % HELD]), row9(w.far[9 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 10) {
    (*acc)[at + 10] = sweep((*acc)[at + 10], row10(w.near[10 / SUBGROUP % HELD]), row10(w.far[10 / SUBGROUP % HELD]), s);
    (*acc)[at + 11] = sweep((*acc)[at + 11], row11(w.near[11 / SUBGROUP % HELD]), row11(w.far[11 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 12) {
    (*acc)[at + 12] = sweep((*acc)[at + 12], row12(w.near[12 / SUBGROUP % HELD]), row12(w.far[12 / SUBGROUP % HELD]), s);
    (*acc)[at + 13] = sweep((*acc)[at + 13], row13(w.near[13 / SUBGROUP % HELD]), row13(w.far[13 / SUBGROUP % HELD]), s);
  }
  if (ROWS > 14) {
    (*acc)[at + 14] = sweep((*acc)[at + 14], row14(w.near[14 / SUBGROUP % HELD]), row14(w.far[14 / SUBGROUP % HELD]), s);
    (*acc)[at + 15] = sweep((*acc)[at + 15], row15(w.near[15 / SUBGROUP % HELD]), row15(w.far[15 / SUBGROUP % HELD]), s);
  }
}

// Adds what a kernel row of an input channel, the i-th of all, makes of the strips that it sees.
fn add_row(acc: ptr<function, array<vec4f, 16>>, rows: Rows, i: u32, first: u32, second: u32) {
  let w = load_kernel_row(rows, i * KW);
  add_strip(acc, 0, w, load_strip(first));
  if (QUADS > 1) { add_strip(acc, 8, w, load_strip(second)); }
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
  let tile = linear - group * args.group_workgroups;
  let column_tile = tile / args.tiles_m;
  let rows = rows_at((tile - column_tile * args.tiles_m) * ROWS, lane, group);
  let column = column_tile * (QUADS * SUBGROUP) + lane;
  let first = quad_at(column, group);
  var second = first;
  if (QUADS > 1) { second = quad_at(column + SUBGROUP, group); }

  var acc = array<vec4f, 16>();
  if (ONE_LOOP) {
    let channel_step = args.x_channel - (KH - 1) * args.x_ky;
    let steps = args.group_ic * KH;
    var distance = 0u;
    var ky = 1u;
    for (var i = 0u; i < ENDLESS; i++) {
      if (i >= steps) { break; }
      add_row(&acc, rows, i, first.strip + distance, second.strip + distance);
      distance += select(args.x_ky, channel_step, ky == KH);
      ky = select(ky + 1, 1u, ky == KH);
    }
  } else {
    for (var ic = 0u; ic < args.group_ic; ic++) {
      for (var ky = 0u; ky < KH; ky++) {
        let distance = ic * args.x_channel + ky * args.x_ky;
        add_row(&acc, rows, ic * KH + ky, first.strip + distance, second.strip + distance);
      }
    }
  }

  var results = acc; // see matmul_subgroup
  for (var r = 0u; r < ROWS; r++) {
    store(rows, first, r, results[r]);
    if (QUADS > 1) { store(rows, second, r, results[8 + r]); }
  }
}
