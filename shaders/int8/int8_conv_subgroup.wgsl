// Convolution of quantized planes (quantize_planes) with packed int8 weights, exact in int32: for adapters that run on a
// CPU. An implicit matrix product: rows are output channels of one group, columns are output pixels flattened over the
// batch, k runs over words of four input channels in the order (ky, kx, word).
//
// Each lane owns four columns. The weights of a word lie side by side for all rows, so that lane r loads row r's and the
// subgroup broadcasts them. A word is taken apart once and its bytes serve 16 rows (or 4 columns). dot4I8Packed, which
// these adapters take apart too, takes as long on lavapipe and a fifth longer on SwiftShader. See conv_subgroup for the
// rest.
import package::common::grid::linear_workgroup;
import package::common::int8::{bytes4, nibbles4};
import package::common::int8_conv::{Pixels, args, store, weights, x};

enable subgroups;

const SUBGROUP: u32 = 8;
// Bits of a weight, 8 or 4.
const BITS: u32 = 8;
// Rows per tile: 4, 8 or 16.
const ROWS: u32 = 16;
// vec4f where that is faster and no sum leaves the range in which floats are exact integers.
alias V = vec4i;
// Taps per step, 1 or 3. With 3, for kernels three wide of stride and dilation 1 and rows of whole fours, neighbouring
// columns share the words of x.
const TAPS: u32 = 1;

// Arguments and bindings are common/int8_conv's.

// Registers that hold the weights of a word: row r sits in register r / SUBGROUP, lane r % SUBGROUP.
const HELD: u32 = (ROWS + SUBGROUP - 1) / SUBGROUP;

// Four columns: their first channels, second channels, and so on.
struct Columns { a: V, b: V, c: V, d: V }

fn columns(p: V, q: V, r: V, s: V) -> Columns {
  return Columns(V(p.x, q.x, r.x, s.x), V(p.y, q.y, r.y, s.y), V(p.z, q.z, r.z, s.z), V(p.w, q.w, r.w, s.w));
}

fn madd(acc: V, w: V, c: Columns) -> V {
  return acc + w.x * c.a + w.y * c.b + w.z * c.c + w.w * c.d;
}

// A row past the edge reads the last one instead, and is not stored.
fn load_weights(base: u32, half: u32, row: u32) -> V {
  let word = weights[base + min(row, args.m - 1)];
  if (BITS == 4) { return V(nibbles4(word, half)); }
  return V(bytes4(word));
}

// Word k of the rows from the given one on.
fn load_row(group: u32, k: u32, row: u32, lane: u32) -> array<V, HELD> {
  let base = group * args.w_group + k / (8 / BITS) * args.w_row;
  let half = k % 2;
  var w: array<V, HELD>;
  w[0] = load_weights(base, half, row + lane % ROWS);
  if (HELD > 1) { w[1 % HELD] = load_weights(base, half, row + lane + SUBGROUP); }
  if (HELD > 2) {
    w[2 % HELD] = load_weights(base, half, row + lane + 2 * SUBGROUP);
    w[3 % HELD] = load_weights(base, half, row + lane + 3 * SUBGROUP);
  }
  return w;
}

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let linear = linear_workgroup(wg, count);
  let group = linear / args.group_workgroups;
  if (group >= args.groups) { return; }
  let tile = linear % args.group_workgroups;
  let row = tile % args.tiles_m * ROWS;
  let pixel = tile / args.tiles_m * (4 * SUBGROUP) + 4 * lane;

  // Columns past the end repeat others, and are not stored.
  var p = min(vec4u(pixel, pixel + 1, pixel + 2, pixel + 3), vec4u(args.n - 1));
  if (TAPS == 3) { p = vec4u(0, 1, 2, 3) + min(pixel, args.n - 4); }
  let image = p / args.ohw;
  let in_image = p - image * args.ohw;
  let oy = in_image / args.ow;
  let ox = in_image - oy * args.ow;
  let x_at = image * args.x_image + oy * args.x_oy + ox * args.x_ox + (args.x_offset + group * args.x_group);

  var acc0 = V();
  var acc1 = V();
  var acc2 = V();
  var acc3 = V();
  var acc4 = V();
  var acc5 = V();
  var acc6 = V();
  var acc7 = V();
  var acc8 = V();
  var acc9 = V();
  var acc10 = V();
  var acc11 = V();
  var acc12 = V();
  var acc13 = V();
  var acc14 = V();
  var acc15 = V();

  // Where the step's word is in the kernel: word of channels, column, row.
  var word = 0u;
  var kx = 0u;
  var ky = 0u;
  for (var k = 0u; k < args.words; k += TAPS) {
    let at = x_at + (word * args.x_channel + kx * args.x_kx + ky * args.x_ky);
    let w_at = (ky * args.kw + kx) * args.channel_words + word;
    let w0 = load_row(group, w_at, row, lane);
    var w1: array<V, HELD>;
    var w2: array<V, HELD>;
    var x0: Columns;
    var x1: Columns;
    var x2: Columns;
    if (TAPS == 3) {
      w1 = load_row(group, w_at + args.channel_words, row, lane);
      w2 = load_row(group, w_at + 2 * args.channel_words, row, lane);
      let b0 = V(bytes4(x[at.x]));
      let b1 = V(bytes4(x[at.x + 1]));
      let b2 = V(bytes4(x[at.x + 2]));
      let b3 = V(bytes4(x[at.x + 3]));
      let b4 = V(bytes4(x[at.x + 4]));
      let b5 = V(bytes4(x[at.x + 5]));
      x0 = columns(b0, b1, b2, b3);
      x1 = columns(b1, b2, b3, b4);
      x2 = columns(b2, b3, b4, b5);
    } else {
      x0 = columns(V(bytes4(x[at.x])), V(bytes4(x[at.y])), V(bytes4(x[at.z])), V(bytes4(x[at.w])));
    }
    acc0 = madd(acc0, subgroupBroadcast(w0[0 / SUBGROUP % HELD], 0u % SUBGROUP), x0);
    if (TAPS == 3) { acc0 = madd(madd(acc0, subgroupBroadcast(w1[0 / SUBGROUP % HELD], 0u % SUBGROUP), x1), subgroupBroadcast(w2[0 / SUBGROUP % HELD], 0u % SUBGROUP), x2); }
    acc1 = madd(acc1, subgroupBroadcast(w0[1 / SUBGROUP % HELD], 1u % SUBGROUP), x0);
    if (TAPS == 3) { acc1 = madd(madd(acc1, subgroupBroadcast(w1[1 / SUBGROUP % HELD], 1u % SUBGROUP), x1), subgroupBroadcast(w2[1 / SUBGROUP % HELD], 1u % SUBGROUP), x2); }
    acc2 = madd(acc2, subgroupBroadcast(w0[2 / SUBGROUP % HELD], 2u % SUBGROUP), x0);
    if (TAPS == 3) { acc2 = madd(madd(acc2, subgroupBroadcast(w1[2 / SUBGROUP % HELD], 2u % SUBGROUP), x1), subgroupBroadcast(w2[2 / SUBGROUP % HELD], 2u % SUBGROUP), x2); }
    acc3 = madd(acc3, subgroupBroadcast(w0[3 / SUBGROUP % HELD], 3u % SUBGROUP), x0);
    if (TAPS == 3) { acc3 = madd(madd(acc3, subgroupBroadcast(w1[3 / SUBGROUP % HELD], 3u % SUBGROUP), x1), subgroupBroadcast(w2[3 / SUBGROUP % HELD], 3u % SUBGROUP), x2); }
    if (ROWS > 4) {
      acc4 = madd(acc4, subgroupBroadcast(w0[4 / SUBGROUP % HELD], 4u % SUBGROUP), x0);
      if (TAPS == 3) { acc4 = madd(madd(acc4, subgroupBroadcast(w1[4 / SUBGROUP % HELD], 4u % SUBGROUP), x1), subgroupBroadcast(w2[4 / SUBGROUP % HELD], 4u % SUBGROUP), x2); }
      acc5 = madd(acc5, subgroupBroadcast(w0[5 / SUBGROUP % HELD], 5u % SUBGROUP), x0);
      if (TAPS == 3) { acc5 = madd(madd(acc5, subgroupBroadcast(w1[5 / SUBGROUP % HELD], 5u % SUBGROUP), x1), subgroupBroadcast(w2[5 / SUBGROUP % HELD], 5u % SUBGROUP), x2); }
      acc6 = madd(acc6, subgroupBroadcast(w0[6 / SUBGROUP % HELD], 6u % SUBGROUP), x0);
      if (TAPS == 3) { acc6 = madd(madd(acc6, subgroupBroadcast(w1[6 / SUBGROUP % HELD], 6u % SUBGROUP), x1), subgroupBroadcast(w2[6 / SUBGROUP % HELD], 6u % SUBGROUP), x2); }
      acc7 = madd(acc7, subgroupBroadcast(w0[7 / SUBGROUP % HELD], 7u % SUBGROUP), x0);
      if (TAPS == 3) { acc7 = madd(madd(acc7, subgroupBroadcast(w1[7 / SUBGROUP % HELD], 7u % SUBGROUP), x1), subgroupBroadcast(w2[7 / SUBGROUP % HELD], 7u % SUBGROUP), x2); }
    }
    if (ROWS > 8) {
      acc8 = madd(acc8, subgroupBroadcast(w0[8 / SUBGROUP % HELD], 8u % SUBGROUP), x0);
      if (TAPS == 3) { acc8 = madd(madd(acc8, subgroupBroadcast(w1[8 / SUBGROUP % HELD], 8u % SUBGROUP), x1), subgroupBroadcast(w2[8 / SUBGROUP % HELD], 8u % SUBGROUP), x2); }
      acc9 = madd(acc9, subgroupBroadcast(w0[9 / SUBGROUP % HELD], 9u % SUBGROUP), x0);
      if (TAPS == 3) { acc9 = madd(madd(acc9, subgroupBroadcast(w1[9 / SUBGROUP % HELD], 9u % SUBGROUP), x1), subgroupBroadcast(w2[9 / SUBGROUP % HELD], 9u % SUBGROUP), x2); }
      acc10 = madd(acc10, subgroupBroadcast(w0[10 / SUBGROUP % HELD], 10u % SUBGROUP), x0);
      if (TAPS == 3) { acc10 = madd(madd(acc10, subgroupBroadcast(w1[10 / SUBGROUP % HELD], 10u % SUBGROUP), x1), subgroupBroadcast(w2[10 / SUBGROUP % HELD], 10u % SUBGROUP), x2); }
      acc11 = madd(acc11, subgroupBroadcast(w0[11 / SUBGROUP % HELD], 11u % SUBGROUP), x0);
      if (TAPS == 3) { acc11 = madd(madd(acc11, subgroupBroadcast(w1[11 / SUBGROUP % HELD], 11u % SUBGROUP), x1), subgroupBroadcast(w2[11 / SUBGROUP % HELD], 11u % SUBGROUP), x2); }
      acc12 = madd(acc12, subgroupBroadcast(w0[12 / SUBGROUP % HELD], 12u % SUBGROUP), x0);
      if (TAPS == 3) { acc12 = madd(madd(acc12, subgroupBroadcast(w1[12 / SUBGROUP % HELD], 12u % SUBGROUP), x1), subgroupBroadcast(w2[12 / SUBGROUP % HELD], 12u % SUBGROUP), x2); }
      acc13 = madd(acc13, subgroupBroadcast(w0[13 / SUBGROUP % HELD], 13u % SUBGROUP), x0);
      if (TAPS == 3) { acc13 = madd(madd(acc13, subgroupBroadcast(w1[13 / SUBGROUP % HELD], 13u % SUBGROUP), x1), subgroupBroadcast(w2[13 / SUBGROUP % HELD], 13u % SUBGROUP), x2); }
      acc14 = madd(acc14, subgroupBroadcast(w0[14 / SUBGROUP % HELD], 14u % SUBGROUP), x0);
      if (TAPS == 3) { acc14 = madd(madd(acc14, subgroupBroadcast(w1[14 / SUBGROUP % HELD], 14u % SUBGROUP), x1), subgroupBroadcast(w2[14 / SUBGROUP % HELD], 14u % SUBGROUP), x2); }
      acc15 = madd(acc15, subgroupBroadcast(w0[15 / SUBGROUP % HELD], 15u % SUBGROUP), x0);
      if (TAPS == 3) { acc15 = madd(madd(acc15, subgroupBroadcast(w1[15 / SUBGROUP % HELD], 15u % SUBGROUP), x1), subgroupBroadcast(w2[15 / SUBGROUP % HELD], 15u % SUBGROUP), x2); }
    }
    word++;
    let tap_done = word == args.channel_words;
    word = select(word, 0u, tap_done);
    kx += select(0u, TAPS, tap_done);
    let line_done = kx == args.kw;
    kx = select(kx, 0u, line_done);
    ky += u32(line_done);
  }

  let next_at = image * args.next_image + oy * args.next_row + ox + args.next_offset;
  let at = Pixels(image * args.out_image + in_image, oy, ox, next_at);
  store(row + 0, pixel, group, at, vec4i(acc0), vec4i(acc1), vec4i(acc2), vec4i(acc3));
  if (ROWS > 4) { store(row + 4, pixel, group, at, vec4i(acc4), vec4i(acc5), vec4i(acc6), vec4i(acc7)); }
  if (ROWS > 8) {
    store(row + 8, pixel, group, at, vec4i(acc8), vec4i(acc9), vec4i(acc10), vec4i(acc11));
    store(row + 12, pixel, group, at, vec4i(acc12), vec4i(acc13), vec4i(acc14), vec4i(acc15));
  }
}
