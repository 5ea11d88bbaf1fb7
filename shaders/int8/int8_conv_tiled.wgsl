// Convolution of quantized planes with packed int8 weights, with tiles in workgroup memory: for GPUs, and wherever
// subgroups are missing. The product that int8_conv_subgroup computes; tiles as in matmul_tiled, of words. A workgroup of
// TN x TM invocations computes 4·TM rows and 4·TN columns, 4x4 each.
import package::common::grid::linear_workgroup;
import package::common::divide::{divide, divide4};
import package::common::int8::{dot4, nibbles_16fold};
import package::common::int8_conv::{Pixels, args, store, weights, x};

override TM: u32 = 16;
override TN: u32 = 16;
// Words of k per tile.
const K_STEP: u32 = 8;
// Bits of a weight, 8 or 4.
const BITS: u32 = 8;

// Arguments and bindings are common/int8_conv's.

var<workgroup> w_tile: array<vec4u, K_STEP * TM>;
var<workgroup> x_tile: array<vec4u, K_STEP * TN>;

// Rows and columns past the edge repeat the last one and are not stored; words past the end of k are zero.
fn load_weights(row: u32, word: u32, base: u32) -> vec4u {
  if (word >= args.words) { return vec4u(); }
  let i = min(vec4u(row, row + 1, row + 2, row + 3), vec4u(args.m - 1)) + (base + word / (8 / BITS) * args.w_row);
  let w = vec4u(weights[i.x], weights[i.y], weights[i.z], weights[i.w]);
  if (BITS == 8) { return w; }
  let half = word % 2;
  return vec4u(
    nibbles_16fold(w.x, half),
    nibbles_16fold(w.y, half),
    nibbles_16fold(w.z, half),
    nibbles_16fold(w.w, half),
  );
}

fn load_x(at: vec4u, word: u32) -> vec4u {
  if (word >= args.words) { return vec4u(); }
  let tap = divide(word, args.channel_words);
  let ky = divide(tap, args.kw);
  let i = at + ((word - tap * args.channel_words) * args.x_channel + ky * args.x_ky + (tap - ky * args.kw) * args.x_kx);
  return vec4u(x[i.x], x[i.y], x[i.z], x[i.w]);
}

fn dots(w: u32, v: vec4u) -> vec4i {
  return vec4i(dot4(w, v.x), dot4(w, v.y), dot4(w, v.z), dot4(w, v.w));
}

@compute @workgroup_size(TN, TM)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let linear = linear_workgroup(wg, count);
  let group = linear / args.group_workgroups;
  if (group >= args.groups) { return; }
  let tile = linear % args.group_workgroups;
  let row = tile % args.tiles_m * (4 * TM);
  let pixel = tile / args.tiles_m * (4 * TN) + 4 * id.x;
  let p = min(vec4u(pixel, pixel + 1, pixel + 2, pixel + 3), vec4u(args.n - 1));
  let image = divide4(p, args.ohw);
  let in_image = p - image * args.ohw;
  let oy = divide4(in_image, args.ow);
  let ox = in_image - oy * args.ow;
  let x_at = image * args.x_image + oy * args.x_oy + ox * args.x_ox + (args.x_offset + group * args.x_group);

  var acc0 = vec4i();
  var acc1 = vec4i();
  var acc2 = vec4i();
  var acc3 = vec4i();
  for (var k = 0u; k < args.words; k += K_STEP) {
    for (var i = local; i < K_STEP * TM; i += TM * TN) {
      w_tile[i] = load_weights(row + 4 * (i % TM), k + i / TM, group * args.w_group);
    }
    for (var kk = id.y; kk < K_STEP; kk += TM) {
      x_tile[kk * TN + id.x] = load_x(x_at, k + kk);
    }
    workgroupBarrier();
    for (var kk = 0u; kk < K_STEP; kk++) {
      let w = w_tile[kk * TM + id.y];
      let v = x_tile[kk * TN + id.x];
      acc0 += dots(w.x, v);
      acc1 += dots(w.y, v);
      acc2 += dots(w.z, v);
      acc3 += dots(w.w, v);
    }
    workgroupBarrier();
  }

  if (BITS == 4) { // sums of 16-fold weights
    acc0 >>= vec4u(4);
    acc1 >>= vec4u(4);
    acc2 >>= vec4u(4);
    acc3 >>= vec4u(4);
  }
  let next_at = image * args.next_image + oy * args.next_row + ox + args.next_offset;
  let at = Pixels(image * args.out_image + in_image, oy, ox, next_at);
  store(row + 4 * id.y, pixel, group, at, acc0, acc1, acc2, acc3);
}
