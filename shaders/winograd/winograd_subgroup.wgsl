// The 16 products of a Winograd convolution and their transform into pixels in one kernel: for adapters that run on a CPU
// (see matmul_subgroup, whose tile of 16 rows and four columns per lane this is). A column is a tile of 2 x 2 pixels, a
// row an output channel. Aᵀ·m·A is a sum over the positions with factors of 1, −1 and 0: each product is added to the four
// pixels as soon as it is there, and none goes through memory. Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015, section 4.1.
import package::common::grid::linear_workgroup;
import package::common::rows::{ENDLESS, HELD, ROWS, SUBGROUP, add_rows, held_rows, row_of};
import package::common::winograd::{args, places_of, store_quad};

enable subgroups;

const PIXELS: u32 = 4 * ROWS;

// Arguments and bindings 0 to 3 are common/winograd's.
@group(0) @binding(4) var<storage, read> kernels: array<vec4f>; // [16][m][ceil(k / 4)], zeros past the last k
@group(0) @binding(5) var<storage, read> x: array<vec4f>; // [16][k][quads]

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let tile = linear_workgroup(wg, count);
  let row = tile % args.tiles_m * ROWS;
  let quad = tile / args.tiles_m * SUBGROUP + lane;
  let steps = (args.k + 3) / 4;
  // Where the kernels of the rows begin that this lane holds, of the first position.
  var held = held_rows(row, args.m - 1, lane);
  held[0] *= steps;
  if (HELD > 1) { held[1 % HELD] *= steps; }
  if (HELD > 2) {
    held[2 % HELD] *= steps;
    held[3 % HELD] *= steps;
  }
  let column = min(quad, args.quads - 1);

  var pixels: array<vec4f, PIXELS>;
  for (var position = 0u; position < 16; position++) {
    let kernel_at = position * args.m * steps;
    let x_at = position * args.k * args.quads + column;
    // Written out: Dawn clears a variable without a value at the start of the function only.
    var sums = array<vec4f, 16>();
    for (var i = 0u; i < ENDLESS; i++) {
      if (i >= steps) { break; }
      var w: array<vec4f, HELD>;
      w[0] = kernels[held[0] + kernel_at + i];
      if (HELD > 1) { w[1 % HELD] = kernels[held[1 % HELD] + kernel_at + i]; }
      if (HELD > 2) {
        w[2 % HELD] = kernels[held[2 % HELD] + kernel_at + i];
        w[3 % HELD] = kernels[held[3 % HELD] + kernel_at + i];
      }
      let k = 4 * i;
      add_rows(&sums, w, mat4x4f(
        x[x_at + k * args.quads],
        x[x_at + min(k + 1, args.k - 1) * args.quads],
        x[x_at + min(k + 2, args.k - 1) * args.quads],
        x[x_at + min(k + 3, args.k - 1) * args.quads],
      ));
    }
    let across = factors(position % 4);
    let down = factors(position / 4);
    if (SUBGROUP == 4) {
      add_products(&pixels, sums, 0, down.x * across.x);
      add_products(&pixels, sums, ROWS, down.x * across.y);
      add_products(&pixels, sums, 2 * ROWS, down.y * across.x);
      add_products(&pixels, sums, 3 * ROWS, down.y * across.y);
      continue;
    }
    var products = sums; // see matmul_subgroup
    // 36 of the 64 factors are not zero.
    for (var pixel = 0u; pixel < 4; pixel++) {
      let factor = down[pixel / 2] * across[pixel % 2];
      if (factor == 0) { continue; }
      for (var r = 0u; r < ROWS; r++) { pixels[pixel * ROWS + r] += factor * products[r]; }
    }
  }

  if (quad >= args.quads) { return; }
  let places = places_of(quad);
  for (var r = 0u; r < ROWS; r++) {
    let channel = row + row_of(r, lane);
    if (channel < args.m) {
      store_quad(channel, places, pixels[r], pixels[ROWS + r], pixels[2 * ROWS + r], pixels[3 * ROWS + r]);
    }
  }
}

// A column of Aᵀ: what the i-th of four numbers is to the first and to the second pixel.
fn factors(i: u32) -> vec2f {
  return vec2f(select(0.0, 1.0, i < 3), select(select(-1.0, 1.0, i == 1), 0.0, i == 0));
}

// Adds one position's products to one pixel of every tile. Written out, as SwiftShader reaches into an array by a variable index
// for every lane apart; the 28 factors that are zero cost less than that.
fn add_products(pixels: ptr<function, array<vec4f, PIXELS>>, products: array<vec4f, 16>, at: u32, factor: f32) {
  (*pixels)[at] += factor * products[0];
  (*pixels)[at + 1] += factor * products[1];
  if (ROWS > 2) {
    (*pixels)[at + 2] += factor * products[2];
    (*pixels)[at + 3] += factor * products[3];
  }
  if (ROWS > 4) {
    (*pixels)[at + 4] += factor * products[4];
    (*pixels)[at + 5] += factor * products[5];
    (*pixels)[at + 6] += factor * products[6];
    (*pixels)[at + 7] += factor * products[7];
  }
  if (ROWS > 8) {
    (*pixels)[at + 8] += factor * products[8];
    (*pixels)[at + 9] += factor * products[9];
    (*pixels)[at + 10] += factor * products[10];
    (*pixels)[at + 11] += factor * products[11];
    (*pixels)[at + 12] += factor * products[12];
    (*pixels)[at + 13] += factor * products[13];
    (*pixels)[at + 14] += factor * products[14];
    (*pixels)[at + 15] += factor * products[15];
  }
}
