// Convolution of quantized planes (quantize_planes) with packed int8 weights, exact in int32: for adapters that run on a
// CPU. An implicit matrix product: rows are output channels of one group, columns are output pixels flattened over the
// batch, k runs over words of four input channels in the order (ky, kx, word).
//
// Each lane owns four columns. The weights of a word lie side by side for all rows, so that lane r loads row r's and the
// subgroup broadcasts them. A word is taken apart once and its bytes serve 16 rows (or 4 columns). dot4I8Packed, which
// these adapters take apart too, takes as long on lavapipe and a fifth longer on SwiftShader. See conv_subgroup for the
// rest.
import package::common::grid::linear_workgroup;
import package::common::int8::{bytes4, bytes4_by_products, nibbles4, nibbles4_by_products};
import package::common::int8_conv::{Pixels, args, store, weights, x};
import package::common::rows::{ENDLESS, HELD, ROWS, SUBGROUP, V, held_rows, place_of, row0, row1, row2, row3, row4, row5, row6, row7, row8, row9, row10, row11, row12, row13, row14, row15};

enable subgroups;

// Bits of a weight, 8 or 4.
const BITS: u32 = 8;
// Taps per step, 1 or 3. With 3, for kernels three wide of stride and dilation 1 and rows of whole fours, neighbouring
// columns share the words of x.
const TAPS: u32 = 1;

// Arguments and bindings are common/int8_conv's.

// V is vec4i, or vec4f where that is faster and no sum leaves the range in which floats are exact integers.

// Four columns, each with its four channels.
struct Columns { p: V, q: V, r: V, s: V }

fn madd(sum: V, w: V, c: Columns) -> V {
  return sum + w.x * V(c.p.x, c.q.x, c.r.x, c.s.x) + w.y * V(c.p.y, c.q.y, c.r.y, c.s.y)
    + w.z * V(c.p.z, c.q.z, c.r.z, c.s.z) + w.w * V(c.p.w, c.q.w, c.r.w, c.s.w);
}

fn unpack(word: u32) -> V {
  if (SUBGROUP == 4) { return V(bytes4_by_products(word)); }
  return V(bytes4(word));
}

fn load_weights(base: u32, half: u32, row: u32) -> V {
  let word = weights[base + row];
  if (BITS == 8) { return unpack(word); }
  if (SUBGROUP == 4) { return V(nibbles4_by_products(word, half)); }
  return V(nibbles4(word, half));
}

// Word k of the rows that a lane holds.
fn load_row(group: u32, k: u32, held: array<u32, HELD>) -> array<V, HELD> {
  let base = group * args.w_group + k / (8 / BITS) * args.w_row;
  let half = k % 2;
  var w: array<V, HELD>;
  w[0] = load_weights(base, half, held[0]);
  if (HELD > 1) { w[1 % HELD] = load_weights(base, half, held[1 % HELD]); }
  if (HELD > 2) {
    w[2 % HELD] = load_weights(base, half, held[2 % HELD]);
    w[3 % HELD] = load_weights(base, half, held[3 % HELD]);
  }
  return w;
}

// What a step multiplies: words of up to three taps.
struct Step {
  w0: array<V, HELD>, w1: array<V, HELD>, w2: array<V, HELD>,
  c0: Columns, c1: Columns, c2: Columns,
}

fn taps(sum: V, w0: V, w1: V, w2: V, step: Step) -> V {
  let c0 = step.c0;
  let c1 = step.c1;
  let c2 = step.c2;
  // Sum by sum, or term by term: see common/rows.
  if (SUBGROUP == 4 && TAPS == 1) {
    return V(dot(w0, c0.p) + sum.x, dot(w0, c0.q) + sum.y, dot(w0, c0.r) + sum.z, dot(w0, c0.s) + sum.w);
  }
  if (SUBGROUP == 4) {
    return V(
      dot(w0, c0.p) + dot(w1, c1.p) + dot(w2, c2.p) + sum.x,
      dot(w0, c0.q) + dot(w1, c1.q) + dot(w2, c2.q) + sum.y,
      dot(w0, c0.r) + dot(w1, c1.r) + dot(w2, c2.r) + sum.z,
      dot(w0, c0.s) + dot(w1, c1.s) + dot(w2, c2.s) + sum.w,
    );
  }
  let one = madd(sum, w0, c0);
  if (TAPS == 1) { return one; }
  return madd(madd(one, w1, c1), w2, c2);
}

fn add_rows(sums: ptr<function, array<V, 16>>, t: Step) {
  (*sums)[0] = taps((*sums)[0], row0(t.w0[0 / SUBGROUP % HELD]), row0(t.w1[0 / SUBGROUP % HELD]), row0(t.w2[0 / SUBGROUP % HELD]), t);
  (*sums)[1] = taps((*sums)[1], row1(t.w0[1 / SUBGROUP % HELD]), row1(t.w1[1 / SUBGROUP % HELD]), row1(t.w2[1 / SUBGROUP % HELD]), t);
  (*sums)[2] = taps((*sums)[2], row2(t.w0[2 / SUBGROUP % HELD]), row2(t.w1[2 / SUBGROUP % HELD]), row2(t.w2[2 / SUBGROUP % HELD]), t);
  (*sums)[3] = taps((*sums)[3], row3(t.w0[3 / SUBGROUP % HELD]), row3(t.w1[3 / SUBGROUP % HELD]), row3(t.w2[3 / SUBGROUP % HELD]), t);
  if (ROWS > 4) {
    (*sums)[4] = taps((*sums)[4], row4(t.w0[4 / SUBGROUP % HELD]), row4(t.w1[4 / SUBGROUP % HELD]), row4(t.w2[4 / SUBGROUP % HELD]), t);
    (*sums)[5] = taps((*sums)[5], row5(t.w0[5 / SUBGROUP % HELD]), row5(t.w1[5 / SUBGROUP % HELD]), row5(t.w2[5 / SUBGROUP % HELD]), t);
    (*sums)[6] = taps((*sums)[6], row6(t.w0[6 / SUBGROUP % HELD]), row6(t.w1[6 / SUBGROUP % HELD]), row6(t.w2[6 / SUBGROUP % HELD]), t);
    (*sums)[7] = taps((*sums)[7], row7(t.w0[7 / SUBGROUP % HELD]), row7(t.w1[7 / SUBGROUP % HELD]), row7(t.w2[7 / SUBGROUP % HELD]), t);
  }
  if (ROWS > 8) {
    (*sums)[8] = taps((*sums)[8], row8(t.w0[8 / SUBGROUP % HELD]), row8(t.w1[8 / SUBGROUP % HELD]), row8(t.w2[8 / SUBGROUP % HELD]), t);
    (*sums)[9] = taps((*sums)[9], row9(t.w0[9 / SUBGROUP % HELD]), row9(t.w1[9 / SUBGROUP % HELD]), row9(t.w2[9 / SUBGROUP % HELD]), t);
    (*sums)[10] = taps((*sums)[10], row10(t.w0[10 / SUBGROUP % HELD]), row10(t.w1[10 / SUBGROUP % HELD]), row10(t.w2[10 / SUBGROUP % HELD]), t);
    (*sums)[11] = taps((*sums)[11], row11(t.w0[11 / SUBGROUP % HELD]), row11(t.w1[11 / SUBGROUP % HELD]), row11(t.w2[11 / SUBGROUP % HELD]), t);
    (*sums)[12] = taps((*sums)[12], row12(t.w0[12 / SUBGROUP % HELD]), row12(t.w1[12 / SUBGROUP % HELD]), row12(t.w2[12 / SUBGROUP % HELD]), t);
    (*sums)[13] = taps((*sums)[13], row13(t.w0[13 / SUBGROUP % HELD]), row13(t.w1[13 / SUBGROUP % HELD]), row13(t.w2[13 / SUBGROUP % HELD]), t);
    (*sums)[14] = taps((*sums)[14], row14(t.w0[14 / SUBGROUP % HELD]), row14(t.w1[14 / SUBGROUP % HELD]), row14(t.w2[14 / SUBGROUP % HELD]), t);
    (*sums)[15] = taps((*sums)[15], row15(t.w0[15 / SUBGROUP % HELD]), row15(t.w1[15 / SUBGROUP % HELD]), row15(t.w2[15 / SUBGROUP % HELD]), t);
  }
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

  // A row past the edge reads the last one instead, and is not stored.
  let held = held_rows(row, args.m - 1, lane);
  var sums = array<V, 16>();

  // Where the step's word is in the kernel: word of channels, column, row.
  var word = 0u;
  var kx = 0u;
  var ky = 0u;
  let steps = args.words / TAPS;
  for (var i = 0u; i < ENDLESS; i++) {
    if (i >= steps) { break; }
    let at = x_at + (word * args.x_channel + kx * args.x_kx + ky * args.x_ky);
    let w_at = (ky * args.kw + kx) * args.channel_words + word;
    var t: Step;
    t.w0 = load_row(group, w_at, held);
    if (TAPS == 3) {
      t.w1 = load_row(group, w_at + args.channel_words, held);
      t.w2 = load_row(group, w_at + 2 * args.channel_words, held);
      let b0 = unpack(x[at.x]);
      let b1 = unpack(x[at.x + 1]);
      let b2 = unpack(x[at.x + 2]);
      let b3 = unpack(x[at.x + 3]);
      let b4 = unpack(x[at.x + 4]);
      let b5 = unpack(x[at.x + 5]);
      t.c0 = Columns(b0, b1, b2, b3);
      t.c1 = Columns(b1, b2, b3, b4);
      t.c2 = Columns(b2, b3, b4, b5);
    } else {
      t.c0 = Columns(unpack(x[at.x]), unpack(x[at.y]), unpack(x[at.z]), unpack(x[at.w]));
    }
    add_rows(&sums, t);
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
  var results = sums; // see matmul_subgroup
  for (var r = 0u; r < ROWS; r += 4) {
    let i = place_of(r, lane);
    store(row + r, pixel, group, at, vec4i(results[i]), vec4i(results[i ^ 1]), vec4i(results[i ^ 2]), vec4i(results[i ^ 3]));
  }
}
