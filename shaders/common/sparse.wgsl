// What the kernels of sparse weights in slots share; src/kernels/sparseFormat.ts says how the words lie.
//
// X is a padded input as conv_subgroup takes it; a product is a convolution with one tap and one pixel. A weight of zero
// is skipped, not multiplied: where W has no weight, a NaN in X stays where it is.
import package::common::divide::divide;

// Sets of eight rows in a tile.
const SETS: u32 = 8;
// Weights of a row in a window of eight terms.
const SLOTS: u32 = 1;
// Of a slot's index: 4, 2, or 0 where slot s holds term s of the window.
const INDEX_BITS: u32 = 4;
// Slots that share four terms of the window, which their indices count in; 0: indices count in the window.
const GROUP_SLOTS: u32 = 0;
// Of a term in a window's list: 16, 32, or 0 where the windows of a tile have all terms in their order.
const TERM_BITS: u32 = 16;
// 32: f32; 16: f16; 8 and 4: signed codes, scaled by row.
const VALUE_BITS: u32 = 32;

const PER_WORD: u32 = 32 / VALUE_BITS;
const INDEX_WORDS: u32 = (SETS * SLOTS * INDEX_BITS + 31) / 32;
const ROW_WORDS: u32 = INDEX_WORDS + (SETS * SLOTS + PER_WORD - 1) / PER_WORD;
const QUADS: u32 = ROW_WORDS / 4; // of which so many fours are read at once
const LIST_WORDS: u32 = TERM_BITS / 4;
const RECORD: u32 = LIST_WORDS + 8 * ROW_WORDS;

struct Args {
  k: u32, n: u32, // terms; columns
  kw: u32, khw: u32, // taps in a kernel row, and in a kernel
  x_channel: u32, x_ky: u32, x_kx: u32, // distance in x of one channel, one kernel row, one kernel column
  x_image: u32, x_group: u32, x_oy: u32, x_ox: u32, // of one image, one group, one output row, one output column
  ow: u32, ohw: u32, // columns in an output row, and in an image
  out_image: u32, out_row: u32, // distance in out of one image, and of one row
  order: u32, scales: u32, records: u32, // where they begin in weights
  tiles: u32, group_tiles: u32, rows: u32, // of all groups; of one; rows of all groups
  bias: u32, residual: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> weights: array<u32>;

// Where in X a term of the sum is, from where a column begins.
fn term_distance(term: u32) -> u32 {
  let ic = divide(term, args.khw);
  let in_kernel = term - ic * args.khw;
  let ky = divide(in_kernel, args.kw);
  return ic * args.x_channel + ky * args.x_ky + (in_kernel - ky * args.kw) * args.x_kx;
}

// Term j of window w of a tile, whose record begins there. Never one past the end of the sum.
fn window_term(record: u32, w: u32, j: u32) -> u32 {
  var term = 8 * w + j;
  if (TERM_BITS == 32) { term = weights[record + j]; }
  if (TERM_BITS == 16) { term = (weights[record + j / 2] >> (16 * (j & 1))) & 0xffff; }
  return min(term, args.k - 1);
}

// Where in its record word i of row `row` of a set lies.
fn row_word(i: u32, row: u32) -> u32 {
  return LIST_WORDS + select(8 * i + row, 32 * (i / 4) + 4 * row + i % 4, i < 4 * QUADS);
}

// The word of a row that has its field j of places, or of weights.
fn place_word(j: u32) -> u32 { return j * INDEX_BITS / 32; }
fn value_word(j: u32) -> u32 { return INDEX_WORDS + j / PER_WORD; }

// The place of a term in its window: field j, out of its word.
fn slot_place(word: u32, j: u32) -> u32 {
  if (INDEX_BITS == 0) { return j % SLOTS; }
  let place = (word >> (j * INDEX_BITS % 32)) & (min(8u, 1u << INDEX_BITS) - 1);
  if (GROUP_SLOTS == 0) { return place; }
  return j % SLOTS / max(1u, GROUP_SLOTS) * 4 + place;
}

// A weight: field j, out of its word.
fn slot_value(word: u32, j: u32) -> f32 {
  if (VALUE_BITS == 32) { return bitcast<f32>(word); }
  if (VALUE_BITS == 16) { return unpack2x16float(word)[j % 2]; }
  return f32(extractBits(bitcast<i32>(word), j % PER_WORD * VALUE_BITS, VALUE_BITS));
}

// The factor of the row at a place of the tiles.
fn row_scale(place: u32) -> f32 {
  if (VALUE_BITS >= 16) { return 1.0; }
  return bitcast<f32>(weights[args.scales + place]);
}
