// Kernels of 3 x 3 taps as the Winograd product takes them: G·g·Gᵀ. out = [16][output channels][row], one matrix of
// all kernels per position of the transformed tile, with zeros past the last input channel. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.1.
import package::common::grid::linear_workgroup;
import package::common::weights::{WeightLayout, weight};

override WG: u32 = 64;

struct Args {
  size: u32, span: u32, // kernels of out, and those of a workgroup
  k: u32, row: u32, // input channels, and those that a row of out has
  w_rows: u32, w_codes: u32, w_pairs: u32, w_bits: u32, w_scales: u32, w_zeros: u32, w_table: u32, w_group: u32, // see common/weights
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
// Binding 2 is common/weights' own.

fn weight_layout() -> WeightLayout {
  return WeightLayout(args.w_rows, 9 * args.k, args.w_codes, args.w_pairs, args.w_bits, args.w_scales, args.w_zeros, args.w_table, args.w_group);
}

// Three taps of a row of a kernel, from that term on.
fn taps(channel: u32, first: u32, places: WeightLayout) -> vec3f {
  return vec3f(weight(channel, first, places), weight(channel, first + 1, places), weight(channel, first + 2, places));
}

// G·(a, b, c).
fn transformed(a: vec3f, b: vec3f, c: vec3f) -> array<vec3f, 4> {
  let ends = 0.5 * (a + c);
  return array(a, ends + 0.5 * b, ends - 0.5 * b, c);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.size);
  let places = weight_layout();
  for (var i = begin + lane; i < end; i += WG) {
    let channel = i / args.row;
    let input = i - channel * args.row;
    let first = 9 * min(input, args.k - 1);
    let rows = transformed(
      taps(channel, first, places),
      taps(channel, first + 3, places),
      taps(channel, first + 6, places),
    );
    for (var r = 0u; r < 4; r++) {
      let v = select(vec3f(), rows[r], input < args.k);
      let ends = 0.5 * (v.x + v.z);
      let to = 4 * r * args.size + i;
      out[to] = v.x;
      out[to + args.size] = ends + 0.5 * v.y;
      out[to + 2 * args.size] = ends - 0.5 * v.y;
      out[to + 3 * args.size] = v.z;
    }
  }
}
