// Unpacks a layer's weights into the words that its kernel reads. They are stored as bit streams, each of which one
// invocation decodes on its own: stream s has rows s, s + streams, s + 2·streams, …, terms in the order in which a row's
// words hold them. Of words that four rows share (QUADS), "row" is all four. src/kernels/rowStreams.ts writes the streams.
import package::common::grid::linear_workgroup;

// Bits of a field: 1, 2, 4, 8, 16 or 32.
const WIDTH: u32 = 8;
// Of nibbles: those of four terms are the low halves of a word's bytes, those of the next four the high ones.
const PAIRED: bool = false;
// 0: every term has a value. 1: a bit says whether. 2: a symbol says how many terms have none (src/kernels/rowStreams.ts).
const CODING: u32 = 0;
// Write the sum of every row's codes.
const SUMS: bool = false;
// Byte j of a word belongs to row 4·row + j.
const QUADS: bool = false;
// Scales are float16, two per word.
const HALF_SCALES: bool = false;
// Fields that 32 bits of a stream hold whatever they are; a divisor of those of a word.
const BATCH: u32 = 1;
// Not even one.
const WIDE: bool = true;
// Some fields have no term, or some rows.
const PADDED: bool = true;
const WG: u32 = 64;

struct Args {
  streams: u32,
  rows: u32, padded_rows: u32, // those that have terms; with those whose words are zeros
  group_rows: u32, group_stride: u32, row_stride: u32, word_stride: u32, // distances in words
  words: u32, // of a row
  slots: u32, tap_slots: u32, tap_terms: u32, // fields of a row; of one tap; those of a tap that have a term
  value_bits: u32, gap_bits: u32,
  low: u32, zero: u32, // what is added to a value; the field of a term without one
  payload: u32, // word at which the streams begin
  row_bits: u32, // of a row where all have the same; then there is a stream for each
  scales: u32, scale_step: u32, scales_out: u32, sums_out: u32, // scale_step 0: all rows share one
  scale_count: u32, padded_scales: u32, // rows that have one; with those whose scale is zero
  tail: u32, tail_out: u32, tail_words: u32, // copied as they are
  biased_rows: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> stored: array<u32>; // where each stream begins, in bits, unless CODING is 0; scales; streams
@group(0) @binding(2) var<storage, read> half_bias: array<u32>; // float16, two per word
@group(0) @binding(3) var<storage, read_write> expanded: array<u32>;
@group(0) @binding(4) var<storage, read_write> bias: array<f32>;

const FIELDS: u32 = 32 / WIDTH;
const MASK: u32 = 0xffffffffu >> (32 - WIDTH);

var<private> cursor: u32; // in bits
var<private> window: u32; // the bits from there on
var<private> zeros: u32; // terms without a value before the next symbol or value
var<private> is_due: bool; // a value follows them

// The next 32 bits. The streams are followed by a word more.
fn refill() {
  let i = cursor / 32;
  let shift = cursor % 32;
  window = (stored[i] >> shift) | ((stored[i + 1] << (31 - shift)) << 1);
}

fn skip(bits: u32) {
  cursor += bits;
  window = window >> (bits & 31); // of all 32 at once none is used
}

fn value(bits: u32) -> u32 {
  return (bits & (0xffffffffu >> (32 - args.value_bits))) + args.low;
}

// The window must hold BATCH of them.
fn next_field() -> u32 {
  if (CODING == 0) {
    let field = value(window);
    skip(args.value_bits);
    return field;
  }
  if (CODING == 1) {
    let has_value = (window & 1) != 0;
    var bits = window >> 1;
    if (WIDE && has_value) {
      cursor++;
      refill();
      cursor--;
      bits = window;
    }
    skip(select(1u, 1 + args.value_bits, has_value));
    return select(args.zero, value(bits), has_value);
  }
  if (zeros == 0 && !is_due) {
    let filler = (1u << args.gap_bits) - 1;
    zeros = window & filler;
    is_due = zeros != filler;
    skip(args.gap_bits);
  }
  if (zeros > 0) {
    zeros--;
    return args.zero;
  }
  if (WIDE) { refill(); }
  is_due = false;
  let field = value(window);
  skip(args.value_bits);
  return field;
}

fn shift_of(field: u32) -> u32 {
  if (PAIRED) { return field % 4 * 8 + field / 4 * 4; }
  return field * WIDTH;
}

fn half_of(word: u32, i: u32) -> f32 {
  return unpack2x16float(word)[i % 2];
}

fn scale_of(row: u32) -> f32 {
  let i = row * args.scale_step;
  if (HALF_SCALES) { return half_of(stored[args.scales + i / 2], i); }
  return bitcast<f32>(stored[args.scales + i]);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let stream = linear_workgroup(group, groups) * WG + lane;
  if (stream >= args.streams) { return; }
  cursor = 32 * args.payload;
  if (CODING == 0) { cursor += stream * args.row_bits; } else { cursor += stored[stream]; }
  zeros = 0;
  is_due = false;
  for (var row = stream; row < args.padded_rows; row += args.streams) {
    let is_row = row < args.rows;
    let row_group = row / args.group_rows;
    var at = row_group * args.group_stride + (row - row_group * args.group_rows) * args.row_stride;
    var slot = 0u;
    var in_tap = 0u;
    var sum = 0u;
    var sums = vec4u();
    for (var w = 0u; w < args.words; w++) {
      var word = 0u;
      for (var j = 0u; j < FIELDS; j++) {
        if (j % BATCH == 0) { refill(); }
        if (!PADDED || (is_row && slot < args.slots && in_tap < args.tap_terms)) {
          let field = next_field();
          if (QUADS) { sums[j % 4] += field; } else { sum += field; }
          word |= (field & MASK) << shift_of(j);
        }
        if (PADDED) {
          slot++;
          in_tap++;
          if (in_tap == args.tap_slots) { in_tap = 0; }
        }
      }
      expanded[at] = word;
      at += args.word_stride;
    }
    if (SUMS && QUADS) {
      for (var j = 0u; j < 4; j++) { expanded[args.sums_out + 4 * row + j] = sums[j]; }
    } else if (SUMS) {
      expanded[args.sums_out + row] = sum;
    }
  }
  for (var i = stream; i < args.padded_scales; i += args.streams) {
    var scale = 0.0;
    if (i < args.scale_count) { scale = scale_of(i); }
    expanded[args.scales_out + i] = bitcast<u32>(scale);
  }
  for (var i = stream; i < args.tail_words; i += args.streams) { expanded[args.tail_out + i] = stored[args.tail + i]; }
  for (var i = stream; i < args.biased_rows; i += args.streams) { bias[i] = half_of(half_bias[i / 2], i); }
}
