// out = clamp(scale * W·X + bias + residual) of sparse weights W in slots, f32 sums: for adapters that run on a CPU, whose
// subgroups have eight or four lanes.
//
// Rows lie along the lanes, so that one load brings a weight each to as many rows, and the sums of a tile use it for
// COLUMNS columns of X. A lane also holds a term of the window for every column; a row picks its term with a subgroup
// shuffle, which costs one instruction there where a load from memory costs twenty. No workgroup memory, no barrier.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded;
import package::common::sparse::{SETS, SLOTS, ROW_WORDS, QUADS, LIST_WORDS, RECORD, args, weights};
import package::common::sparse::{term_distance, window_term, row_word, place_word, value_word, slot_place, slot_value, row_scale};

enable subgroups;

// 8 or 4.
const SUBGROUP: u32 = 8;
override WG: u32 = 8; // one subgroup
const COLUMNS: u32 = 16;

const HALVES: u32 = 8 / SUBGROUP; // registers that eight rows, or eight terms, take
const PLACES: u32 = (COLUMNS + SUBGROUP - 1) / SUBGROUP; // registers that hold an address for every column

// The same words as weights: a load of four costs less than four loads.
@group(0) @binding(2) var<storage, read> weights4: array<vec4u>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

// Arrays are indexed with constants alone once loops are unrolled, so that they are registers. The compiler unrolls only
// short loops: the longest, over what a tile has in a window, is written out.
var<private> acc: array<array<f32, COLUMNS>, SETS * HALVES>;
var<private> xs: array<array<f32, COLUMNS>, HALVES>;
var<private> at: array<u32, COLUMNS>;
var<private> words: array<u32, ROW_WORDS>;

fn add_set(s: u32, half: u32) {
  if (s >= SETS) { return; }
  add_four(s, half, 0);
  if (SLOTS > 4) { add_four(s, half, 4); }
}

// Four slots of the rows, or what is left of them. A sum stays in a register meanwhile: columns are the outer loop.
fn add_four(s: u32, half: u32, first: u32) {
  var v: array<f32, 4>;
  var place: array<u32, 4>;
  for (var i = 0u; i < min(4u, SLOTS - first); i++) {
    let j = s * SLOTS + first + i;
    v[i] = slot_value(words[value_word(j)], j);
    place[i] = slot_place(words[place_word(j)], j);
  }
  add_columns(s * HALVES + half, first, 0, v, place);
  if (COLUMNS > 16) { add_columns(s * HALVES + half, first, 16, v, place); }
}

fn add_columns(part: u32, first: u32, column: u32, v: array<f32, 4>, place: array<u32, 4>) {
  for (var b = column; b < min(column + 16, COLUMNS); b++) {
    var sum = add_slot(acc[part][b], b, v[0], place[0]);
    if (first + 1 < SLOTS) { sum = add_slot(sum, b, v[1], place[1]); }
    if (first + 2 < SLOTS) { sum = add_slot(sum, b, v[2], place[2]); }
    if (first + 3 < SLOTS) { sum = add_slot(sum, b, v[3], place[3]); }
    acc[part][b] = sum;
  }
}

fn add_slot(sum: f32, b: u32, v: f32, place: u32) -> f32 {
  var picked = subgroupShuffle(xs[0][b], place % SUBGROUP);
  if (HALVES > 1) { picked = select(picked, subgroupShuffle(xs[HALVES - 1][b], place % SUBGROUP), place >= SUBGROUP); }
  return sum + v * select(0.0, picked, v != 0);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let linear = linear_workgroup(wg, count);
  let tile = linear % args.tiles;
  let column = linear / args.tiles * COLUMNS;
  if (column >= args.n) { return; }

  // Columns past the edge repeat the last one and are not stored.
  var x_at: array<u32, PLACES>;
  var out_at: array<u32, PLACES>;
  for (var p = 0u; p < PLACES; p++) {
    let c = min(column + p * SUBGROUP + lane, args.n - 1);
    let image = c / args.ohw;
    let pixel = c - image * args.ohw;
    let oy = pixel / args.ow;
    x_at[p] = image * args.x_image + oy * args.x_oy + (pixel - oy * args.ow) * args.x_ox + tile / args.group_tiles * args.x_group;
    out_at[p] = image * args.out_image + pixel;
  }
  for (var b = 0u; b < COLUMNS; b++) { at[b] = subgroupShuffle(x_at[b / SUBGROUP], b % SUBGROUP); }

  let begin = weights[tile];
  let end = weights[tile + 1];
  for (var w = begin; w < end; w++) {
    let record = args.records + w * RECORD;
    for (var h = 0u; h < HALVES; h++) {
      let distance = term_distance(window_term(record, w - begin, h * SUBGROUP + lane));
      for (var b = 0u; b < COLUMNS; b++) { xs[h][b] = x[at[b] + distance]; }
    }
    for (var half = 0u; half < HALVES; half++) {
      let row = half * SUBGROUP + lane;
      for (var i = 0u; i < QUADS; i++) {
        let four = weights4[(record + row_word(4 * i, row)) / 4];
        words[4 * i] = four.x;
        words[4 * i + 1] = four.y;
        words[4 * i + 2] = four.z;
        words[4 * i + 3] = four.w;
      }
      for (var i = 4 * QUADS; i < ROW_WORDS; i++) { words[i] = weights[record + row_word(i, row)]; }
      add_set(0u, half);
      add_set(1u, half);
      add_set(2u, half);
      add_set(3u, half);
      add_set(4u, half);
      add_set(5u, half);
      add_set(6u, half);
      add_set(7u, half);
    }
  }

  for (var s = 0u; s < SETS; s++) {
    for (var half = 0u; half < HALVES; half++) {
      let place = (tile * SETS + s) * 8 + half * SUBGROUP + lane;
      let row = weights[args.order + place];
      let is_row = row < args.rows; // the last tile of a group may have fewer
      let scale = row_scale(place);
      var shift = 0.0;
      if (args.bias != 0 && is_row) { shift = bias[row]; }
      for (var b = 0u; b < COLUMNS; b++) {
        let o = subgroupShuffle(out_at[b / SUBGROUP], b % SUBGROUP) + row * args.out_row;
        if (is_row && column + b < args.n) {
          var v = scale * acc[s * HALVES + half][b] + shift;
          if (args.residual != 0) { v += residual[o]; }
          out[o] = bounded(v, args.lo, args.hi);
        }
      }
    }
  }
}
