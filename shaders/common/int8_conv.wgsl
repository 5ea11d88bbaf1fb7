// What int8_conv_subgroup and int8_conv_tiled share: their interface, and what becomes of the sums.
import package::common::bounds::bounded4;
import package::common::int8::codes_of;
import package::common::int8_next::{Border, edges, store_next};

struct Args {
  m: u32, n: u32, words: u32, // output channels of a group; batch·oh·ow; words of k
  channel_words: u32, kw: u32, // words of the input channels of a group; taps in a kernel row
  x_offset: u32, x_channel: u32, x_ky: u32, x_kx: u32, // distance in x of one word of channels, one kernel row, one kernel column
  x_image: u32, x_group: u32, x_oy: u32, x_ox: u32, // of one image, one group, one output row, one output column
  ow: u32, ohw: u32,
  w_row: u32, w_group: u32, scales: u32, sums: u32, // rows of a group as laid out; words of its weights; where the scales and the sums of the rows lie
  zero: i32, x_scale: f32, // the code of zero, and the step, of x
  out_image: u32, out_channel: u32,
  oh: u32, next_offset: u32, next_image: u32, next_channel: u32, next_row: u32, // where the words of the next layer's input go
  next_top: u32, next_left: u32, next_bottom: u32, next_right: u32,
  next_scale: f32, next_low: f32, next_high: f32, next_shift: i32,
  tiles_m: u32, group_workgroups: u32, groups: u32,
  floats: u32, codes: u32, // whether floats, codes or both are written
  bias: u32, residual: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// Four pixels: their distances in out, and their rows, columns and distances in the next layer's input.
struct Pixels {
  out: vec4u,
  oy: vec4u,
  ox: vec4u,
  next: vec4u,
}

fn finish(channel: u32, at: Pixels, sum: vec4i) -> vec4f {
  let centred = sum - args.zero * bitcast<i32>(weights[args.sums + channel]);
  var v = vec4f(centred) * (args.x_scale * bitcast<f32>(weights[args.scales + channel]));
  if (args.bias != 0) { v += bias[channel]; }
  if (args.residual != 0) {
    let o = at.out + channel * args.out_channel;
    v += vec4f(residual[o.x], residual[o.y], residual[o.z], residual[o.w]);
  }
  return bounded4(v, args.lo, args.hi);
}

fn put(row: u32, channel: u32, pixel: u32, at: Pixels, v: vec4f) {
  if (row >= args.m) { return; }
  let o = at.out + channel * args.out_channel;
  for (var j = 0u; j < 4; j++) {
    if (pixel + j < args.n) { out[o[j]] = v[j]; }
  }
}

fn codes(row: u32, v: vec4f) -> vec4i {
  let all = codes_of(v, args.next_scale, args.next_low, args.next_high, args.next_shift);
  return select(vec4i(-args.next_shift), all, row < args.m); // channels that fill the last word are zero
}

// Four rows of four pixels; row is a multiple of four.
fn store(row: u32, pixel: u32, group: u32, at: Pixels, s0: vec4i, s1: vec4i, s2: vec4i, s3: vec4i) {
  if (row >= args.m) { return; }
  let channel = group * args.m + row;
  let last = (group + 1) * args.m - 1;
  let v0 = finish(channel, at, s0);
  let v1 = finish(min(channel + 1, last), at, s1);
  let v2 = finish(min(channel + 2, last), at, s2);
  let v3 = finish(min(channel + 3, last), at, s3);
  if (args.floats != 0) {
    put(row, channel, pixel, at, v0);
    put(row + 1, channel + 1, pixel, at, v1);
    put(row + 2, channel + 2, pixel, at, v2);
    put(row + 3, channel + 3, pixel, at, v3);
  }
  if (args.codes != 0) {
    let c0 = codes(row, v0);
    let c1 = codes(row + 1, v1);
    let c2 = codes(row + 2, v2);
    let c3 = codes(row + 3, v3);
    let o = at.next + channel / 4 * args.next_channel;
    let border = Border(
      args.next_row, args.next_top, args.next_left, args.next_bottom, args.next_right, args.next_shift,
    );
    for (var j = 0u; j < 4; j++) {
      if (pixel + j < args.n) {
        let edge = edges(border, at.oy[j], at.ox[j], args.oh, args.ow);
        store_next(border, o[j], edge, vec4i(c0[j], c1[j], c2[j], c3[j]));
      }
    }
  }
}
