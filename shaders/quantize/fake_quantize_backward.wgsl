// LSQ (Esser et al. 2020, equations 3 and 5): with v = x / s,
//   low < v < high:  dx = dy,  ds += dy (round(v) - v)
//   otherwise:       dx = 0,   ds += dy low, or dy high
// A workgroup sums ds over one of the splits of one channel: partials[channel][split].
import package::common::grid::linear_workgroup;
import package::common::channel_element::channel_element;
import package::common::quantizer_step::quantizer_step;

struct Args {
  channels: u32, inner: u32, // this and what follows in units of T
  length: u32, // elements of a channel
  splits: u32, chunk: u32, // elements of a split
  low: f32, high: f32,
}

override WG: u32 = 64;
// f32, or vec4f where the runs of a channel are whole vectors; LANES is how many numbers that is.
alias T = vec4f;
const LANES: f32 = 4.0;
const CONTIGUOUS: bool = true; // the elements of a channel follow each other
const GRADIENT: bool = true; // dx is wanted
const POWER_OF_TWO: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<T>;
@group(0) @binding(4) var<storage, read_write> dx: array<T>;
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;

var<workgroup> scratch: array<f32, WG>;

fn total(v: T) -> f32 {
  return dot(vec4f(v), vec4f(LANES / 4.0));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let number = linear_workgroup(group, count);
  let channel = number / args.splits;
  let begin = number % args.splits * args.chunk;
  let limit = min(begin + args.chunk, args.length);
  let end = select(0u, limit, channel < args.channels);
  let s = quantizer_step(scale[min(channel, args.channels - 1u)], POWER_OF_TWO);
  let low = T(args.low);
  let high = T(args.high);
  var sum = T(0.0);
  for (var j = begin + lane; j < end; j += WG) {
    var i = channel * args.length + j;
    if (!CONTIGUOUS) { i = channel_element(j, channel, args.channels, args.inner); }
    let v = x[i] / s;
    let slope = dy[i];
    let inside = (v > low) & (v < high);
    sum += slope * select(clamp(v, low, high), round(v) - v, inside);
    if (GRADIENT) { dx[i] = select(T(0.0), slope, inside); }
  }
  scratch[lane] = total(sum);
  workgroupBarrier();
  for (var stride = WG / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) { scratch[lane] += scratch[lane + stride]; }
    workgroupBarrier();
  }
  if (lane == 0u && channel < args.channels) { partials[number] = scratch[0]; }
}
