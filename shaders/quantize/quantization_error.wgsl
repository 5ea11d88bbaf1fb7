// partials[step][split] = sum of (x - s round(clamp(x / s)))² over one of the splits of x, for each of several steps s: how
// much is lost by each.
import package::common::grid::linear_workgroup;

struct Args {
  steps: u32,
  length: u32, // of x, in units of T
  splits: u32, chunk: u32, // elements of a split
  low: f32, high: f32,
}

override WG: u32 = 64;
// f32, or vec4f where x is whole vectors; LANES is how many numbers that is.
alias T = vec4f;
const LANES: f32 = 4.0;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> steps: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;

var<workgroup> scratch: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let number = linear_workgroup(group, count);
  let index = number / args.splits;
  let begin = number % args.splits * args.chunk;
  let limit = min(begin + args.chunk, args.length);
  let end = select(0u, limit, index < args.steps);
  let s = steps[min(index, args.steps - 1u)];
  var sum = T(0.0);
  for (var i = begin + lane; i < end; i += WG) {
    let lost = x[i] - s * round(clamp(x[i] / s, T(args.low), T(args.high)));
    sum += lost * lost;
  }
  scratch[lane] = dot(vec4f(sum), vec4f(LANES / 4.0));
  workgroupBarrier();
  for (var stride = WG / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) { scratch[lane] += scratch[lane + stride]; }
    workgroupBarrier();
  }
  if (lane == 0u && index < args.steps) { partials[number] = scratch[0]; }
}
