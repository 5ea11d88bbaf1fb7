// out = clamp(scale * W·X + bias + residual) of sparse weights W in slots, f32 sums: for GPUs, and wherever subgroups are
// missing or of other sizes than sparse_subgroup knows.
//
// A workgroup computes the rows of one tile (an invocation has one of them) for 4·ACROSS columns (an invocation has
// four). The terms of STAGE windows go into workgroup memory, where a row picks its own by their place; neighbouring
// invocations read neighbouring words of the weights.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded;
import package::common::sparse::{SETS, SLOTS, INDEX_BITS, RECORD, args, weights};
import package::common::sparse::{term_distance, window_term, row_word, place_word, value_word, slot_place, slot_value, row_scale};

override ACROSS: u32 = 4;
const STAGE: u32 = 2;
// 8 * SETS
override HEIGHT: u32 = 64;

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// Term j of the stage, columns 4q to 4q + 3: at j·ACROSS + q.
var<workgroup> staged: array<vec4f, 8 * STAGE * ACROSS>;

struct Places { x: vec4u, out: vec4u }

// Of four columns; those past the edge repeat the last one and are not stored.
fn places_of(column: u32) -> Places {
  let c = min(vec4u(column, column + 1, column + 2, column + 3), vec4u(args.n - 1));
  let image = c / args.ohw;
  let pixel = c - image * args.ohw;
  let oy = pixel / args.ow;
  return Places(image * args.x_image + oy * args.x_oy + (pixel - oy * args.ow) * args.x_ox, image * args.out_image + pixel);
}

@compute @workgroup_size(HEIGHT, ACROSS)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let linear = linear_workgroup(wg, count);
  let tile = linear % args.tiles;
  let column = linear / args.tiles * (4 * ACROSS);
  if (column >= args.n) { return; }
  let begin = weights[tile];
  let end = weights[tile + 1];
  let lane = id.x % 8;
  let s = id.x / 8;

  // The columns that an invocation stages are always the same, and neighbours of its neighbours'.
  let quad = local % ACROSS;
  let base = places_of(column + 4 * quad).x + tile / args.group_tiles * args.x_group;
  var acc = vec4f();
  for (var first = begin; first < end; first += STAGE) {
    for (var j = local / ACROSS; j < 8 * STAGE; j += HEIGHT) {
      let w = first + j / 8;
      if (w < end) {
        let at = base + term_distance(window_term(args.records + w * RECORD, w - begin, j % 8));
        staged[j * ACROSS + quad] = vec4f(x[at.x], x[at.y], x[at.z], x[at.w]);
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < min(STAGE, end - first); i++) {
      let record = args.records + (first + i) * RECORD;
      for (var slot = 0u; slot < SLOTS; slot++) {
        let j = s * SLOTS + slot;
        let v = slot_value(weights[record + row_word(value_word(j), lane)], j);
        var place = slot;
        if (INDEX_BITS > 0) { place = slot_place(weights[record + row_word(place_word(j), lane)], j); }
        acc += v * select(vec4f(), staged[(8 * i + place) * ACROSS + id.y], v != 0);
      }
    }
    workgroupBarrier();
  }

  let at = tile * HEIGHT + id.x;
  let row = weights[args.order + at];
  if (row >= args.rows) { return; } // the last tile of a group may have fewer
  acc *= row_scale(at);
  if (args.bias != 0) { acc += bias[row]; }
  let c = column + 4 * id.y;
  let o = places_of(c).out + row * args.out_row;
  for (var b = 0u; b < 4; b++) {
    if (c + b < args.n) {
      var v = acc[b];
      if (args.residual != 0) { v += residual[o[b]]; }
      out[o[b]] = bounded(v, args.lo, args.hi);
    }
  }
}
