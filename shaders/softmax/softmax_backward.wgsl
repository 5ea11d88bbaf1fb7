// From y = softmax(x): dx = y * (dy - sum(dy * y)). From y = log(softmax(x)), with LOG: dx = dy - exp(y) * sum(dy).
// Lines as in softmax.wgsl.
import package::common::grid::linear_workgroup;
import package::common::nan::exp_or_nan;
import package::common::lines::{WG, LANES, sum_lanes};

struct Args {
  lines: u32,
  length: u32,
  inner: u32,
}

const LOG: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let line = linear_workgroup(group, count) * (WG / LANES) + lane / LANES;
  let length = select(0u, args.length, line < args.lines);
  let base = (line / args.inner) * args.length * args.inner + line % args.inner;
  let first = lane % LANES;

  var sum = 0.0;
  for (var i = first; i < length; i += LANES) {
    let at = base + i * args.inner;
    if (LOG) { sum += dy[at]; } else { sum += dy[at] * y[at]; }
  }
  sum = sum_lanes(sum, lane);

  for (var i = first; i < length; i += LANES) {
    let at = base + i * args.inner;
    if (LOG) { dx[at] = dy[at] - exp_or_nan(y[at]) * sum; } else { dx[at] = y[at] * (dy[at] - sum); }
  }
}
