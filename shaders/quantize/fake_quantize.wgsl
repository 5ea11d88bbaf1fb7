// out = s clamp(round(x / s), low, high), halves rounded to even; one s for all (ONE) or one per channel of the tensor
// [outer][channels][inner].
import package::common::grid::linear_workgroup;
import package::common::quantizer_step::quantizer_step;

struct Args {
  n: u32, span: u32, // elements in units of T, and those of a workgroup
  channels: u32, inner: u32, // inner in units of T
  low: f32, high: f32,
}

override WG: u32 = 64;
// vec4f where the elements that share a scale are whole vectors.
alias T = vec4f;
const ONE: bool = true;
const POWER_OF_TWO: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<T>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  let low = T(args.low);
  let high = T(args.high);
  var s = quantizer_step(scale[0], POWER_OF_TWO);
  for (var i = begin + lane; i < end; i += WG) {
    if (!ONE) {
      s = quantizer_step(scale[i / args.inner % args.channels], POWER_OF_TWO);
    }
    out[i] = s * round(clamp(x[i] / s, low, high));
  }
}
