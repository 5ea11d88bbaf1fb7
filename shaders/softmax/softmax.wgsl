// y = softmax(x), or log(softmax(x)) with LOG, along an axis of `length` elements that lie `inner` apart. The largest
// element is subtracted first, so that exp never overflows. LANES invocations share a line, four elements a turn each.
import package::common::grid::linear_workgroup;
import package::common::nan::{exp_or_nan, exp4_or_nan};
import package::common::lines::{WG, LANES, sum_lanes, max_lanes};

struct Args {
  lines: u32,
  length: u32,
  inner: u32,
}

const LOG: bool = false;
// Four elements a turn, for long lines.
const FOURS: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn load(at: vec4u) -> vec4f {
  return vec4f(x[at.x], x[at.y], x[at.z], x[at.w]);
}

fn store(at: vec4u, v: vec4f) {
  y[at.x] = v.x;
  y[at.y] = v.y;
  y[at.z] = v.z;
  y[at.w] = v.w;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let line = linear_workgroup(group, count) * (WG / LANES) + lane / LANES;
  // Lines past the end have no elements, but take part in the barriers.
  let length = select(0u, args.length, line < args.lines);
  let first = lane % LANES;
  let mine = (max(length, first) - first + LANES - 1) / LANES;
  let turns = select(0u, mine / 4, FOURS);
  let step = LANES * args.inner;
  let start = (line / args.inner) * args.length * args.inner + line % args.inner;
  let base = start + first * args.inner;
  let four = base + vec4u(0, 1, 2, 3) * step;

  // Comparisons, not max(): a NaN shows in the sum, and SwiftShader's max() is five times as long to keep it.
  var mosts = vec4f(x[min(start, arrayLength(&x) - 1u)]);
  for (var turn = 0u; turn < turns; turn++) {
    let v = load(four + 4 * turn * step);
    mosts = select(mosts, v, v > mosts);
  }
  for (var k = 4 * turns; k < mine; k++) {
    let v = x[base + k * step];
    mosts.x = select(mosts.x, v, v > mosts.x);
  }
  let most = max_lanes(max(max(mosts.x, mosts.y), max(mosts.z, mosts.w)), lane);

  var sums = vec4f();
  for (var turn = 0u; turn < turns; turn++) {
    sums += exp4_or_nan(load(four + 4 * turn * step) - most);
  }
  for (var k = 4 * turns; k < mine; k++) {
    sums.x += exp_or_nan(x[base + k * step] - most);
  }
  let sum = sum_lanes(sums.x + sums.y + sums.z + sums.w, lane);

  let log_sum = log(sum);
  for (var turn = 0u; turn < turns; turn++) {
    let at = four + 4 * turn * step;
    let v = load(at) - most;
    if (LOG) { store(at, v - log_sum); } else { store(at, exp4_or_nan(v) / sum); }
  }
  for (var k = 4 * turns; k < mine; k++) {
    let at = base + k * step;
    let v = x[at] - most;
    if (LOG) { y[at] = v - log_sum; } else { y[at] = exp_or_nan(v) / sum; }
  }
}
