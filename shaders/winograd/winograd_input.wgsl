// Tiles of 4 x 4 pixels, two apart, of an already padded NCHW input as the Winograd product takes them: Bᵀ·d·B.
// out = [16][channels][quads], one matrix per position of the tile; a quad is four tiles, neighbours in the flattened
// batch, which an invocation transforms at once. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// 2015, section 4.1.
import package::common::grid::linear_workgroup;

override WG: u32 = 64;

struct Args {
  size: u32, span: u32, // channels * quads, and those of a workgroup
  quads: u32, tiles: u32, // ceil(tiles / 4); tiles of the batch
  tiles_x: u32, plane_tiles: u32, // tiles in a row, and in a plane
  last_y: u32, last_x: u32, // last row and column of x
  x_offset: u32, x_image: u32, x_channel: u32, x_row: u32, // distances in x
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

// The tiles of a quad lie side by side in one row: ten pixels serve all four of them.
const STRIP: bool = false;

struct Four {
  a: vec4f,
  b: vec4f,
  c: vec4f,
  d: vec4f,
}

// Bᵀ·(a, b, c, d), for four tiles.
fn transformed(v: Four) -> Four {
  return Four(v.a - v.c, v.b + v.c, v.c - v.b, v.b - v.d);
}

// The four pixels of a row of each tile. A column past the last only reaches outputs past the edge: any number will do.
fn load_row(row: vec4u, column: vec4u) -> Four {
  if (STRIP) {
    let at = row.x + column.x;
    let first = vec4f(x[at], x[at + 2], x[at + 4], x[at + 6]);
    let second = vec4f(x[at + 1], x[at + 3], x[at + 5], x[at + 7]);
    let ninth = x[at + 8];
    let tenth = x[row.x + min(column.x + 9, args.last_x)];
    return Four(first, second, vec4f(first.yzw, ninth), vec4f(second.yzw, tenth));
  }
  let a = row + column;
  let d = row + min(column + 3, vec4u(args.last_x));
  return Four(
    vec4f(x[a.x], x[a.y], x[a.z], x[a.w]),
    vec4f(x[a.x + 1], x[a.y + 1], x[a.z + 1], x[a.w + 1]),
    vec4f(x[a.x + 2], x[a.y + 2], x[a.z + 2], x[a.w + 2]),
    vec4f(x[d.x], x[d.y], x[d.z], x[d.w]),
  );
}

fn store_row(at: u32, v: Four) {
  let row = transformed(v);
  out[at] = row.a;
  out[at + args.size] = row.b;
  out[at + 2 * args.size] = row.c;
  out[at + 3 * args.size] = row.d;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.size);
  for (var i = begin + lane; i < end; i += WG) {
    let channel = i / args.quads;
    let first = 4 * (i - channel * args.quads);
    let tile = min(vec4u(first, first + 1, first + 2, first + 3), vec4u(args.tiles - 1));
    let image = tile / args.plane_tiles;
    let in_image = tile - image * args.plane_tiles;
    let tile_y = in_image / args.tiles_x;
    let column = 2 * (in_image - tile_y * args.tiles_x);
    let y = 2 * tile_y;
    let origin = image * args.x_image + (args.x_offset + channel * args.x_channel);
    let r0 = load_row(origin + y * args.x_row, column);
    let r1 = load_row(origin + (y + 1) * args.x_row, column);
    let r2 = load_row(origin + (y + 2) * args.x_row, column);
    let r3 = load_row(origin + min(y + 3, vec4u(args.last_y)) * args.x_row, column);
    let a = transformed(Four(r0.a, r1.a, r2.a, r3.a));
    let b = transformed(Four(r0.b, r1.b, r2.b, r3.b));
    let c = transformed(Four(r0.c, r1.c, r2.c, r3.c));
    let d = transformed(Four(r0.d, r1.d, r2.d, r3.d));
    store_row(i, Four(a.a, b.a, c.a, d.a));
    store_row(i + 4 * args.size, Four(a.b, b.b, c.b, d.b));
    store_row(i + 8 * args.size, Four(a.c, b.c, c.c, d.c));
    store_row(i + 12 * args.size, Four(a.d, b.d, c.d, d.d));
  }
}
