// Words of the next layer's quantized input, which has a border around every plane: whoever writes a pixel at an edge
// writes the border beside it too. The module that imports this has them at binding 6.
import package::common::int8::pack_bytes;

// Distance of one row, widths of the border, and what is stored for zero.
struct Border {
  row: u32,
  top: u32, left: u32, bottom: u32, right: u32,
  shift: i32,
}

@group(0) @binding(6) var<storage, read_write> next: array<u32>;

// Widths of the border beside the pixel (oy, ox) of planes of h x w: (top, left, bottom, right).
fn edges(border: Border, oy: u32, ox: u32, h: u32, w: u32) -> vec4u {
  return select(
    vec4u(),
    vec4u(border.top, border.left, border.bottom, border.right),
    vec4<bool>(oy == 0, ox == 0, oy + 1 == h, ox + 1 == w),
  );
}

fn store_next(border: Border, at: u32, edge: vec4u, codes: vec4i) {
  let word = pack_bytes(codes);
  let nothing = pack_bytes(vec4i(-border.shift));
  let first = at - edge.x * border.row - edge.y;
  for (var y = 0u; y <= edge.x + edge.z; y++) {
    for (var x = 0u; x <= edge.y + edge.w; x++) {
      next[first + y * border.row + x] = select(nothing, word, y == edge.x && x == edge.y);
    }
  }
}
