// out = s clamp(round(x / s), low, high), halves rounded to even; one s for all (ONE) or one per channel of the tensor
// [outer][channels][inner]. A step that has shrunk to nothing counts as TINY.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32,
  channels: u32, inner: u32,
  low: f32, high: f32,
}

const WG: u32 = 64u;
const EACH: u32 = 16u; // elements per invocation: workgroups cost more than iterations on CPU adapters
const ONE: bool = true;
const TINY: f32 = 1e-12;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = linear_workgroup(group, count) * WG * EACH + lane;
  for (var j = 0u; j < EACH; j++) {
    let i = first + j * WG;
    if (i >= args.n) { return; }
    var channel = 0u;
    if (!ONE) { channel = i / args.inner % args.channels; }
    let s = max(scale[channel], TINY);
    out[i] = s * round(clamp(x[i] / s, args.low, args.high));
  }
}
