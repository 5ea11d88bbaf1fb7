// Depthwise convolution of an already padded NCHW input, f32, with stride 1: an invocation computes columns of quads, four
// pixels of a row and those below them, so that a row of the input is loaded once for all rows that it reaches, and the
// taps once for all pixels. Groups have one input channel, rows hold a quad at least.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded4;
import package::common::weights::{WeightLayout, weight};

override WG: u32 = 64;

struct Args {
  oc: u32, group_oc: u32, // all output channels; channels of a group
  x_channel: u32, x_offset: u32, x_image: u32, x_row: u32, // distances in x
  oh: u32, ow: u32,
  out_offset: u32, out_image: u32, out_channel: u32, out_oy: u32, out_ox: u32, // distances in out
  w_rows: u32, w_codes: u32, w_pairs: u32, w_bits: u32, w_scales: u32, w_zeros: u32, w_table: u32, w_group: u32, // see common/weights
  columns: u32, rows: u32, // ceil(ow / 4); rows of a column of quads
  plane_columns: u32, size: u32, span: u32, // columns of quads in a plane, in all planes, and of a workgroup
  bias: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
// Binding 2 is common/weights' own.
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// Whether a tensor of the result's layout is added before the bounds.
const RESIDUAL: bool = false;
// Kernel rows and columns, one to seven.
const KH: u32 = 3u;
const KW: u32 = 3u;

fn weight_layout() -> WeightLayout {
  return WeightLayout(args.w_rows, KH * KW, args.w_codes, args.w_pairs, args.w_bits, args.w_scales, args.w_zeros, args.w_table, args.w_group);
}

// Those of the four pixels before `skipped` are another invocation's.
fn store(sums: vec4f, channel: u32, o: vec4u, skipped: u32) {
  var v = sums;
  if (args.bias != 0) { v += bias[channel]; }
  if (RESIDUAL) { v += vec4f(residual[o.x], residual[o.y], residual[o.z], residual[o.w]); }
  v = bounded4(v, args.lo, args.hi);
  for (var j = 0u; j < 4; j++) {
    if (j >= skipped) { out[o[j]] = v[j]; }
  }
}

// The taps of a kernel row. Written out, as the rows are: SwiftShader reaches into an array for every lane apart.
struct Taps {
  a: f32,
  b: f32,
  c: f32,
  d: f32,
  e: f32,
  f: f32,
  g: f32,
}

fn taps_of(channel: u32, ky: u32) -> Taps {
  let places = weight_layout();
  let k = min(ky, KH - 1) * KW;
  var taps = Taps(weight(channel, k, places), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
  if (KW > 1) { taps.b = weight(channel, k + 1, places); }
  if (KW > 2) { taps.c = weight(channel, k + 2, places); }
  if (KW > 3) { taps.d = weight(channel, k + 3, places); }
  if (KW > 4) { taps.e = weight(channel, k + 4, places); }
  if (KW > 5) { taps.f = weight(channel, k + 5, places); }
  if (KW > 6) { taps.g = weight(channel, k + 6, places); }
  return taps;
}

// Ten pixels of an input row, as far as a quad needs them.
struct Strip {
  lo: vec4f,
  hi: vec4f,
  top: vec2f,
}

fn load_strip(at: u32) -> Strip {
  var strip = Strip(vec4f(x[at], x[at + 1], x[at + 2], x[at + 3]), vec4f(), vec2f());
  if (KW > 1) { strip.hi.x = x[at + 4]; }
  if (KW > 2) { strip.hi.y = x[at + 5]; }
  if (KW > 3) { strip.hi.z = x[at + 6]; }
  if (KW > 4) { strip.hi.w = x[at + 7]; }
  if (KW > 5) { strip.top.x = x[at + 8]; }
  if (KW > 6) { strip.top.y = x[at + 9]; }
  return strip;
}

fn across(taps: Taps, strip: Strip) -> vec4f {
  var sum = taps.a * strip.lo;
  if (KW > 1) { sum += taps.b * vec4f(strip.lo.yzw, strip.hi.x); }
  if (KW > 2) { sum += taps.c * vec4f(strip.lo.zw, strip.hi.xy); }
  if (KW > 3) { sum += taps.d * vec4f(strip.lo.w, strip.hi.xyz); }
  if (KW > 4) { sum += taps.e * strip.hi; }
  if (KW > 5) { sum += taps.f * vec4f(strip.hi.yzw, strip.top.x); }
  if (KW > 6) { sum += taps.g * vec4f(strip.hi.zw, strip.top); }
  return sum;
}

// Each input row adds to KH output rows, begins the last of them and finishes the first.
fn compute_column(first: u32, to: u32, channel: u32, column: u32) {
  let band = column / args.columns;
  let quad = 4 * (column - band * args.columns);
  // The last quad of a row may begin further left than its own pixels do.
  let left = min(quad, args.ow - 4);
  let row = band * args.rows;
  let rows = min(args.rows, args.oh - row);
  let w0 = taps_of(channel, 0);
  let w1 = taps_of(channel, 1);
  let w2 = taps_of(channel, 2);
  let w3 = taps_of(channel, 3);
  let w4 = taps_of(channel, 4);
  let w5 = taps_of(channel, 5);
  let w6 = taps_of(channel, 6);
  // Sums that have the taps of so many kernel rows.
  var have1 = vec4f();
  var have2 = vec4f();
  var have3 = vec4f();
  var have4 = vec4f();
  var have5 = vec4f();
  var have6 = vec4f();
  var at = first + row * args.x_row + left;
  var o = to + row * args.out_oy + (left + vec4u(0, 1, 2, 3)) * args.out_ox;
  for (var y = 0u; y < rows + KH - 1; y++) {
    let strip = load_strip(at);
    var sum = across(w0, strip);
    if (KH > 1) { let next = have1 + across(w1, strip); have1 = sum; sum = next; }
    if (KH > 2) { let next = have2 + across(w2, strip); have2 = sum; sum = next; }
    if (KH > 3) { let next = have3 + across(w3, strip); have3 = sum; sum = next; }
    if (KH > 4) { let next = have4 + across(w4, strip); have4 = sum; sum = next; }
    if (KH > 5) { let next = have5 + across(w5, strip); have5 = sum; sum = next; }
    if (KH > 6) { let next = have6 + across(w6, strip); have6 = sum; sum = next; }
    if (y >= KH - 1) {
      store(sum, channel, o, quad - left);
      o += args.out_oy;
    }
    at += args.x_row;
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.size);
  for (var i = begin + lane; i < end; i += WG) {
    let plane = i / args.plane_columns;
    let image = plane / args.oc;
    let channel = plane - image * args.oc;
    let first = args.x_offset + image * args.x_image + channel / args.group_oc * args.x_channel;
    let to = args.out_offset + image * args.out_image + channel * args.out_channel;
    compute_column(first, to, channel, i - plane * args.plane_columns);
  }
}
