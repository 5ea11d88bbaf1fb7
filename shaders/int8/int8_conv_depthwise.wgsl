// Depthwise convolution (one input and one output channel per group) of quantized planes with packed int8 weights, exact
// in int32. A word of x holds four channels and so four groups: an invocation computes them for four pixels, flattened
// over the plane.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded;
import package::common::int8::{bytes4, codes_of};
import package::common::int8_next::{Border, edges, store_next};

// Taps in a kernel row where the four pixels lie in one row of x (stride and dilation 1): they share their words.
// 0 elsewhere.
const STRIP: u32 = 0;
override WG: u32 = 64;

struct Args {
  size: u32, span: u32, // items (image, word of channels, four pixels), and those of a workgroup
  channels: u32, channel_words: u32, quads: u32, // quads: fours of pixels in a plane
  kh: u32, kw: u32,
  x_offset: u32, x_channel: u32, x_ky: u32, x_kx: u32, // distance in x of one word of channels, one kernel row, one kernel column
  x_image: u32, x_oy: u32, x_ox: u32, // of one image, one output row, one output column
  ow: u32, ohw: u32,
  scales: u32, sums: u32, // where the scales and the sums of the channels lie in the weights
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

fn per_channel(at: u32) -> vec4u {
  return vec4u(weights[at], weights[at + 1], weights[at + 2], weights[at + 3]);
}

// The four channels of one pixel.
fn store(image: u32, word: u32, pixel: u32, oy: u32, acc: vec4i, factor: vec4f, offset: vec4i, shift: vec4f) {
  if (pixel >= args.ohw) { return; }
  var v = vec4f(acc - offset) * factor + shift;
  let o = image * args.out_image + pixel;
  for (var j = 0u; j < 4; j++) {
    let channel = 4 * word + j;
    if (channel < args.channels) {
      let i = o + channel * args.out_channel;
      var one = v[j];
      if (args.residual != 0) { one += residual[i]; }
      one = bounded(one, args.lo, args.hi);
      if (args.floats != 0) { out[i] = one; }
      v[j] = one;
    }
  }
  if (args.codes != 0) {
    let codes = codes_of(v, args.next_scale, args.next_low, args.next_high, args.next_shift);
    let real = 4 * word + vec4u(0, 1, 2, 3) < vec4u(args.channels);
    let ox = pixel - oy * args.ow;
    let at = args.next_offset + image * args.next_image + word * args.next_channel + oy * args.next_row + ox;
    let border = Border(
      args.next_row, args.next_top, args.next_left, args.next_bottom, args.next_right, args.next_shift,
    );
    let edge = edges(border, oy, ox, args.oh, args.ow);
    store_next(border, at, edge, select(vec4i(-args.next_shift), codes, real));
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.size);
  for (var item = begin + lane; item < end; item += WG) {
    let plane = item / args.quads;
    let image = plane / args.channel_words;
    let word = plane - image * args.channel_words;
    let pixel = 4 * (item - plane * args.quads);
    let p = min(pixel + vec4u(0, 1, 2, 3), vec4u(args.ohw - 1));
    let oy = p / args.ow;
    let base = args.x_offset + image * args.x_image + word * args.x_channel;
    let at = base + oy * args.x_oy + (p - oy * args.ow) * args.x_ox;
    var w_at = word * args.kh * args.kw;

    var acc0 = vec4i();
    var acc1 = vec4i();
    var acc2 = vec4i();
    var acc3 = vec4i();
    for (var ky = 0u; ky < args.kh; ky++) {
      if (STRIP != 0) {
        let row = at.x + ky * args.x_ky;
        var b0 = bytes4(x[row]);
        var b1 = bytes4(x[row + 1]);
        var b2 = bytes4(x[row + 2]);
        for (var kx = 0u; kx < STRIP; kx++) {
          let b3 = bytes4(x[row + kx + 3]);
          let w = bytes4(weights[w_at]);
          acc0 += w * b0;
          acc1 += w * b1;
          acc2 += w * b2;
          acc3 += w * b3;
          b0 = b1;
          b1 = b2;
          b2 = b3;
          w_at++;
        }
      } else {
        for (var kx = 0u; kx < args.kw; kx++) {
          let i = at + (ky * args.x_ky + kx * args.x_kx);
          let w = bytes4(weights[w_at]);
          acc0 += w * bytes4(x[i.x]);
          acc1 += w * bytes4(x[i.y]);
          acc2 += w * bytes4(x[i.z]);
          acc3 += w * bytes4(x[i.w]);
          w_at++;
        }
      }
    }

    let factor = args.x_scale * bitcast<vec4f>(per_channel(args.scales + 4 * word));
    let offset = args.zero * bitcast<vec4i>(per_channel(args.sums + 4 * word));
    var shift = vec4f();
    if (args.bias != 0) {
      let c = min(4 * word + vec4u(0, 1, 2, 3), vec4u(args.channels - 1));
      shift = vec4f(bias[c.x], bias[c.y], bias[c.z], bias[c.w]);
    }
    store(image, word, pixel, oy.x, acc0, factor, offset, shift);
    store(image, word, pixel + 1, oy.y, acc1, factor, offset, shift);
    store(image, word, pixel + 2, oy.z, acc2, factor, offset, shift);
    store(image, word, pixel + 3, oy.w, acc3, factor, offset, shift);
  }
}
