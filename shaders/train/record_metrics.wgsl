// ring[slot] = (mean loss, samples whose label ranks first, samples whose label is among the first five, samples):
// a step's result in four floats, so that the host reads many steps at once.

struct Args {
  slot: u32,
  count: u32, // rows that are samples
}

const WG: u32 = 64u;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read> ranks: array<u32>;
@group(0) @binding(3) var<storage, read_write> ring: array<vec4f>;

var<workgroup> scratch: array<vec3f, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sums = vec3f(0.0);
  for (var i = lane; i < args.count; i += WG) {
    sums += vec3f(losses[i], select(0.0, 1.0, ranks[i] == 0u), select(0.0, 1.0, ranks[i] < 5u));
  }
  scratch[lane] = sums;
  workgroupBarrier();
  for (var stride = WG / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) { scratch[lane] += scratch[lane + stride]; }
    workgroupBarrier();
  }
  if (lane == 0u) {
    let count = f32(args.count);
    ring[args.slot] = vec4f(scratch[0].x / max(count, 1.0), scratch[0].yz, count);
  }
}
