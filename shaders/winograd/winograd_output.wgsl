// From Winograd products to pixels: clamp(Aᵀ·m·A + bias + residual), 2 x 2 of them per tile. products = [16][channels]
// [quads], as winograd_input lays tiles out. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
// section 4.1.
import package::common::grid::linear_workgroup;
import package::common::winograd::{args, places_of, store_quad};

override WG: u32 = 64;

// Arguments and bindings are common/winograd's.
@group(0) @binding(4) var<storage, read> products: array<vec4f>;

struct Two {
  a: vec4f,
  b: vec4f,
}

// Aᵀ·(a, b, c, d), for four tiles.
fn transformed(a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> Two {
  return Two(a + b + c, b - c - d);
}

// A column of the tile's products, from top to bottom.
fn load_column(at: u32) -> Two {
  let s = 4 * args.size;
  return transformed(products[at], products[at + s], products[at + 2 * s], products[at + 3 * s]);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.size);
  for (var i = begin + lane; i < end; i += WG) {
    let channel = i / args.quads;
    let c0 = load_column(i);
    let c1 = load_column(i + args.size);
    let c2 = load_column(i + 2 * args.size);
    let c3 = load_column(i + 3 * args.size);
    let upper = transformed(c0.a, c1.a, c2.a, c3.a);
    let lower = transformed(c0.b, c1.b, c2.b, c3.b);
    store_quad(channel, places_of(i - channel * args.quads), upper.a, upper.b, lower.a, lower.b);
  }
}
