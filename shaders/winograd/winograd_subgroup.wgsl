// The 16 products of a Winograd convolution and their transform into pixels in one kernel: for adapters that run on a CPU
// (see matmul_subgroup, whose tile of 16 rows and four columns per lane this is). A column is a tile of 2 x 2 pixels, a
// row an output channel. Aᵀ·m·A is a sum over the positions with factors of 1, −1 and 0: each product is added to the four
// pixels as soon as it is there, and none goes through memory. Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015, section 4.1.
import package::common::grid::linear_workgroup;
import package::common::madd::madd;
import package::common::winograd::{args, places_of, store_quad};

enable subgroups;

const SUBGROUP: u32 = 8;
// Rows per tile: 4, 8 or 16.
const ROWS: u32 = 16;
override WG: u32 = 8;

// Arguments and bindings 0 to 3 are common/winograd's.
@group(0) @binding(4) var<storage, read> kernels: array<vec4f>; // [16][m][ceil(k / 4)], zeros past the last k
@group(0) @binding(5) var<storage, read> x: array<vec4f>; // [16][k][quads]

// Registers that hold four terms of the rows: row r sits in register r / SUBGROUP, lane r % SUBGROUP.
const HELD: u32 = (ROWS + SUBGROUP - 1) / SUBGROUP;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % SUBGROUP;
  let tile = linear_workgroup(wg, count) * (WG / SUBGROUP) + local / SUBGROUP;
  let row = tile % args.tiles_m * ROWS;
  let quad = tile / args.tiles_m * SUBGROUP + lane;
  let steps = (args.k + 3) / 4;
  let last = args.m - 1;
  let column = min(quad, args.quads - 1);

  var pixels: array<vec4f, 4 * ROWS>;
  for (var position = 0u; position < 16; position++) {
    let kernel_at = position * args.m;
    let x_at = position * args.k * args.quads + column;
    // Written out: Dawn clears a variable without a value at the start of the function only.
    var acc = array<vec4f, ROWS>();
    for (var i = 0u; i < steps; i++) {
      var w: array<vec4f, HELD>;
      w[0] = kernels[(kernel_at + min(row + lane % ROWS, last)) * steps + i];
      if (HELD > 1) { w[1 % HELD] = kernels[(kernel_at + min(row + lane + SUBGROUP, last)) * steps + i]; }
      if (HELD > 2) {
        w[2 % HELD] = kernels[(kernel_at + min(row + lane + 2 * SUBGROUP, last)) * steps + i];
        w[3 % HELD] = kernels[(kernel_at + min(row + lane + 3 * SUBGROUP, last)) * steps + i];
      }
      let k = 4 * i;
      let x0 = x[x_at + k * args.quads];
      let x1 = x[x_at + min(k + 1, args.k - 1) * args.quads];
      let x2 = x[x_at + min(k + 2, args.k - 1) * args.quads];
      let x3 = x[x_at + min(k + 3, args.k - 1) * args.quads];
      acc[0] = madd(acc[0], subgroupBroadcast(w[0 / SUBGROUP % HELD], 0u % SUBGROUP), x0, x1, x2, x3);
      acc[1] = madd(acc[1], subgroupBroadcast(w[1 / SUBGROUP % HELD], 1u % SUBGROUP), x0, x1, x2, x3);
      acc[2] = madd(acc[2], subgroupBroadcast(w[2 / SUBGROUP % HELD], 2u % SUBGROUP), x0, x1, x2, x3);
      acc[3] = madd(acc[3], subgroupBroadcast(w[3 / SUBGROUP % HELD], 3u % SUBGROUP), x0, x1, x2, x3);
      if (ROWS > 4) {
        acc[4 % ROWS] = madd(acc[4 % ROWS], subgroupBroadcast(w[4 / SUBGROUP % HELD], 4u % SUBGROUP), x0, x1, x2, x3);
        acc[5 % ROWS] = madd(acc[5 % ROWS], subgroupBroadcast(w[5 / SUBGROUP % HELD], 5u % SUBGROUP), x0, x1, x2, x3);
        acc[6 % ROWS] = madd(acc[6 % ROWS], subgroupBroadcast(w[6 / SUBGROUP % HELD], 6u % SUBGROUP), x0, x1, x2, x3);
        acc[7 % ROWS] = madd(acc[7 % ROWS], subgroupBroadcast(w[7 / SUBGROUP % HELD], 7u % SUBGROUP), x0, x1, x2, x3);
      }
      if (ROWS > 8) {
        acc[8 % ROWS] = madd(acc[8 % ROWS], subgroupBroadcast(w[8 / SUBGROUP % HELD], 8u % SUBGROUP), x0, x1, x2, x3);
        acc[9 % ROWS] = madd(acc[9 % ROWS], subgroupBroadcast(w[9 / SUBGROUP % HELD], 9u % SUBGROUP), x0, x1, x2, x3);
        acc[10 % ROWS] = madd(acc[10 % ROWS], subgroupBroadcast(w[10 / SUBGROUP % HELD], 10u % SUBGROUP), x0, x1, x2, x3);
        acc[11 % ROWS] = madd(acc[11 % ROWS], subgroupBroadcast(w[11 / SUBGROUP % HELD], 11u % SUBGROUP), x0, x1, x2, x3);
        acc[12 % ROWS] = madd(acc[12 % ROWS], subgroupBroadcast(w[12 / SUBGROUP % HELD], 12u % SUBGROUP), x0, x1, x2, x3);
        acc[13 % ROWS] = madd(acc[13 % ROWS], subgroupBroadcast(w[13 / SUBGROUP % HELD], 13u % SUBGROUP), x0, x1, x2, x3);
        acc[14 % ROWS] = madd(acc[14 % ROWS], subgroupBroadcast(w[14 / SUBGROUP % HELD], 14u % SUBGROUP), x0, x1, x2, x3);
        acc[15 % ROWS] = madd(acc[15 % ROWS], subgroupBroadcast(w[15 / SUBGROUP % HELD], 15u % SUBGROUP), x0, x1, x2, x3);
      }
    }
    let across = factors(position % 4);
    let down = factors(position / 4);
    // 36 of the 64 factors are not zero.
    for (var pixel = 0u; pixel < 4; pixel++) {
      let factor = down[pixel / 2] * across[pixel % 2];
      if (factor == 0) { continue; }
      for (var r = 0u; r < ROWS; r++) { pixels[pixel * ROWS + r] += factor * acc[r]; }
    }
  }

  if (quad >= args.quads) { return; }
  let places = places_of(quad);
  for (var r = 0u; r < ROWS; r++) {
    if (row + r < args.m) {
      store_quad(row + r, places, pixels[r], pixels[ROWS + r], pixels[2 * ROWS + r], pixels[3 * ROWS + r]);
    }
  }
}

// A column of Aᵀ: what the i-th of four numbers is to the first and to the second pixel.
fn factors(i: u32) -> vec2f {
  return vec2f(select(0.0, 1.0, i < 3), select(select(-1.0, 1.0, i == 1), 0.0, i == 0));
}
