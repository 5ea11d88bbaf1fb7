// What winograd_output and winograd_subgroup share: their interface, and what becomes of the sums.
import package::common::bounds::bounded;

struct Args {
  m: u32, k: u32, // output channels, and input channels
  size: u32, span: u32, // m * quads, and those of a workgroup
  quads: u32, tiles: u32, // ceil(tiles / 4); tiles of the batch
  tiles_x: u32, plane_tiles: u32, // tiles in a row, and in a plane
  tiles_m: u32, // of winograd_subgroup: its tiles over the channels
  oh: u32, ow: u32,
  out_offset: u32, out_image: u32, out_channel: u32, out_row: u32, // distances in out
  bias: u32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

// Whether a tensor of the result's layout is added before the bounds.
const RESIDUAL: bool = false;

// Where the pixels of a quad of tiles go.
struct Places {
  at: vec4u, // the upper left ones, in channel 0
  exists: vec4<bool>,
  has_right: vec4<bool>,
  has_lower: vec4<bool>,
}

fn places_of(quad: u32) -> Places {
  let tile = 4 * quad + vec4u(0, 1, 2, 3);
  let image = tile / args.plane_tiles;
  let in_image = tile - image * args.plane_tiles;
  let tile_y = in_image / args.tiles_x;
  let column = 2 * (in_image - tile_y * args.tiles_x);
  let y = 2 * tile_y;
  return Places(
    args.out_offset + image * args.out_image + y * args.out_row + column,
    tile < vec4u(args.tiles),
    column + 1 < vec4u(args.ow),
    y + 1 < vec4u(args.oh),
  );
}

fn store(sum: f32, at: u32) {
  var v = sum;
  if (RESIDUAL) { v += residual[at]; }
  out[at] = bounded(v, args.lo, args.hi);
}

// The pixels of four tiles: left and right, and those below.
fn store_quad(channel: u32, places: Places, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
  var shift = 0.0;
  if (args.bias != 0) { shift = bias[channel]; }
  for (var j = 0u; j < 4; j++) {
    if (!places.exists[j]) { continue; }
    let at = places.at[j] + channel * args.out_channel;
    store(a[j] + shift, at);
    if (places.has_right[j]) { store(b[j] + shift, at + 1); }
    if (places.has_lower[j]) {
      store(c[j] + shift, at + args.out_row);
      if (places.has_right[j]) { store(d[j] + shift, at + args.out_row + 1); }
    }
  }
}
