// y = softmax(x), or log(softmax(x)) with LOG, along an axis of `length` elements that lie `inner` apart. The largest
// element is subtracted first, so that exp never overflows. LANES invocations share a line.
import package::common::grid::linear_workgroup;
import package::common::nan::exp_or_nan;
import package::common::lines::{WG, LANES, sum_lanes, max_lanes};

struct Args {
  lines: u32,
  length: u32,
  inner: u32,
}

const LOG: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let line = linear_workgroup(group, count) * (WG / LANES) + lane / LANES;
  // Lines past the end have no elements, but take part in the barriers.
  let length = select(0u, args.length, line < args.lines);
  let base = (line / args.inner) * args.length * args.inner + line % args.inner;
  let first = lane % LANES;

  var most = x[min(base, arrayLength(&x) - 1u)];
  for (var i = first; i < length; i += LANES) {
    most = max(most, x[base + i * args.inner]);
  }
  most = max_lanes(most, lane);

  var sum = 0.0;
  for (var i = first; i < length; i += LANES) {
    sum += exp_or_nan(x[base + i * args.inner] - most);
  }
  sum = sum_lanes(sum, lane);

  let log_sum = log(sum);
  for (var i = first; i < length; i += LANES) {
    let at = base + i * args.inner;
    let v = x[at] - most;
    if (LOG) { y[at] = v - log_sum; } else { y[at] = exp_or_nan(v) / sum; }
  }
}
