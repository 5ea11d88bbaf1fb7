// partials[channel][split] = sum of |x| over one of the splits of one channel of the tensor [outer][channels][inner].
import package::common::grid::linear_workgroup;
import package::common::channel_element::channel_element;

struct Args {
  channels: u32, inner: u32, // this and what follows in units of T
  length: u32, // elements of a channel
  splits: u32, chunk: u32, // elements of a split
}

override WG: u32 = 64;
// f32, or vec4f where the runs of a channel are whole vectors; LANES is how many numbers that is.
alias T = vec4f;
const LANES: f32 = 4.0;
const CONTIGUOUS: bool = true; // the elements of a channel follow each other

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

var<workgroup> scratch: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let number = linear_workgroup(group, count);
  let channel = number / args.splits;
  let begin = number % args.splits * args.chunk;
  let limit = min(begin + args.chunk, args.length);
  let end = select(0u, limit, channel < args.channels);
  var sum = T(0.0);
  for (var j = begin + lane; j < end; j += WG) {
    var i = channel * args.length + j;
    if (!CONTIGUOUS) { i = channel_element(j, channel, args.channels, args.inner); }
    sum += abs(x[i]);
  }
  scratch[lane] = dot(vec4f(sum), vec4f(LANES / 4.0));
  workgroupBarrier();
  for (var stride = WG / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) { scratch[lane] += scratch[lane + stride]; }
    workgroupBarrier();
  }
  if (lane == 0u && channel < args.channels) { partials[number] = scratch[0]; }
}
