// Convolution whose groups do not come out as whole words of input channels, or are too small for a tile, of quantized
// planes with packed int8 weights, exact in int32. An invocation computes four output channels, each of whatever group,
// of one pixel. A group may begin inside a word of x: its words are cut out of two neighbours.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded;
import package::common::int8::{codes_of, dot4, nibbles_16fold};
import package::common::int8_next::{Border, edges, store_next};

// Bits of a weight, 8 or 4.
const BITS: u32 = 8;
override WG: u32 = 64;

struct Args {
  size: u32, span: u32, // items (image, four output channels, pixel), and those of a workgroup
  channels: u32, quads: u32, // output channels, and fours of them
  m: u32, group_in: u32, group_words: u32, channel_words: u32, // output and input channels of a group; words of a group's weights; words of all input channels
  kh: u32, kw: u32,
  x_offset: u32, x_channel: u32, x_ky: u32, x_kx: u32, // distance in x of one word of channels, one kernel row, one kernel column
  x_image: u32, x_oy: u32, x_ox: u32, // of one image, one output row, one output column
  ow: u32, ohw: u32,
  w_group: u32, scales: u32, sums: u32, // words of a group's weights; where the scales and the sums of the rows lie
  zero: i32, x_scale: f32, // the code of zero, and the step, of x
  out_image: u32, out_channel: u32,
  oh: u32, next_offset: u32, next_image: u32, next_channel: u32, next_row: u32, // where the words of the next layer's input go
  next_top: u32, next_left: u32, next_bottom: u32, next_right: u32,
  next_scale: f32, next_low: f32, next_high: f32, next_shift: i32,
  floats: u32, codes: u32, // whether floats, codes or both are written
  bias: u32, residual: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// Four channels from the given one on. Those behind the group meet weights of zero.
fn load_x(channel: u32, at: u32) -> u32 {
  let first = channel / 4;
  let bits = channel % 4 * 8;
  let low = x[at + first * args.x_channel];
  if (bits == 0) { return low; }
  let high = x[at + min(first + 1, args.channel_words - 1) * args.x_channel];
  return (low >> bits) | (high << (32 - bits));
}

fn sum_of(channel: u32, at: u32) -> i32 {
  let group = channel / args.m;
  let row = group * args.w_group + channel - group * args.m;
  var k = 0u;
  var sum = 0;
  for (var ky = 0u; ky < args.kh; ky++) {
    for (var kx = 0u; kx < args.kw; kx++) {
      let tap = at + ky * args.x_ky + kx * args.x_kx;
      for (var word = 0u; word < args.group_words; word++) {
        var w = weights[row + k / (8 / BITS) * args.m];
        if (BITS == 4) { w = nibbles_16fold(w, k % 2); }
        sum += dot4(w, load_x(group * args.group_in + 4 * word, tap));
        k++;
      }
    }
  }
  if (BITS == 4) { sum >>= 4u; } // of 16-fold weights
  return sum - args.zero * bitcast<i32>(weights[args.sums + channel]);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.size);
  for (var item = begin + lane; item < end; item += WG) {
    let plane = item / args.ohw;
    let image = plane / args.quads;
    let quad = plane - image * args.quads;
    let pixel = item - plane * args.ohw;
    let oy = pixel / args.ow;
    let ox = pixel - oy * args.ow;
    let at = args.x_offset + image * args.x_image + oy * args.x_oy + ox * args.x_ox;
    var codes = vec4i(-args.next_shift);
    for (var j = 0u; j < 4; j++) {
      let channel = 4 * quad + j;
      if (channel < args.channels) {
        var v = f32(sum_of(channel, at)) * (args.x_scale * bitcast<f32>(weights[args.scales + channel]));
        let o = image * args.out_image + channel * args.out_channel + pixel;
        if (args.bias != 0) { v += bias[channel]; }
        if (args.residual != 0) { v += residual[o]; }
        v = bounded(v, args.lo, args.hi);
        if (args.floats != 0) { out[o] = v; }
        if (args.codes != 0) { codes[j] = codes_of(vec4f(v), args.next_scale, args.next_low, args.next_high, args.next_shift).x; }
      }
    }
    if (args.codes != 0) {
      let o = args.next_offset + image * args.next_image + quad * args.next_channel + oy * args.next_row + ox;
      let border = Border(
        args.next_row, args.next_top, args.next_left, args.next_bottom, args.next_right, args.next_shift,
      );
      store_next(border, o, edges(border, oy, ox, args.oh, args.ow), codes);
    }
  }
}
