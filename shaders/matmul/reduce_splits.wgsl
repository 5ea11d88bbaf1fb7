// out[i] = clamp(alpha * (sum over s of parts[s][i]) + beta * bias), f32: the second pass of a split sum.
// The parts are added in the order of s, so that the result does not depend on scheduling.
import package::common::grid::linear_workgroup;
import package::common::bounds::bounded;

override WG: u32 = 64;
// Elements per invocation.
const PER: u32 = 1;

struct Args {
  size: u32, splits: u32, // elements of the output and of each part; number of parts
  columns: u32, rows: u32, // the output as [batches][rows][columns], for the bias
  out_offset: u32, bias_m: u32, bias_n: u32,
  alpha: f32, beta: f32, lo: f32, hi: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = linear_workgroup(wg, count) * (WG * PER) + local;
  for (var i = first; i < min(first + WG * PER, args.size); i += WG) {
    var sum = 0.0;
    for (var s = 0u; s < args.splits; s++) { sum += parts[s * args.size + i]; }
    var v = args.alpha * sum;
    if (args.beta != 0) {
      let row = i / args.columns % args.rows;
      v += args.beta * bias[row * args.bias_m + i % args.columns * args.bias_n];
    }
    out[args.out_offset + i] = bounded(v, args.lo, args.hi);
  }
}
