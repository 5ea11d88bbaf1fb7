// y = softmax(x), or log(softmax(x)) with LOG, along an axis of at most 16 elements that lie `inner` apart: an invocation
// holds a line in registers, so that each element is loaded once, and its exponential computed once. See softmax.
import package::common::grid::linear_workgroup;
import package::common::nan::exp4_or_nan;

struct Args {
  lines: u32,
  inner: u32,
}

override WG: u32 = 64;
const LENGTH: u32 = 1;
const LOG: bool = false;
// Elements of a line are neighbours.
const CONTIGUOUS: bool = false;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Elements 4i to 4i + 3 of a line, the first of them in place of those past the end.
fn load_quad(start: u32, i: u32) -> vec4f {
  let step = select(args.inner, 1u, CONTIGUOUS);
  let at = start + 4 * i * step;
  var v = vec4f(x[at]);
  if (LENGTH > 4 * i + 1) { v.y = x[at + step]; }
  if (LENGTH > 4 * i + 2) { v.z = x[at + 2 * step]; }
  if (LENGTH > 4 * i + 3) { v.w = x[at + 3 * step]; }
  return v;
}

fn max4(v: vec4f) -> f32 {
  let pairs = select(v.xy, v.zw, v.zw > v.xy);
  return select(pairs.x, pairs.y, pairs.y > pairs.x);
}

fn sum_quad(v: vec4f, i: u32) -> f32 {
  var sum = v.x;
  if (LENGTH > 4 * i + 1) { sum += v.y; }
  if (LENGTH > 4 * i + 2) { sum += v.z; }
  if (LENGTH > 4 * i + 3) { sum += v.w; }
  return sum;
}

fn store_quad(start: u32, i: u32, v: vec4f) {
  let step = select(args.inner, 1u, CONTIGUOUS);
  let at = start + 4 * i * step;
  y[at] = v.x;
  if (LENGTH > 4 * i + 1) { y[at + step] = v.y; }
  if (LENGTH > 4 * i + 2) { y[at + 2 * step] = v.z; }
  if (LENGTH > 4 * i + 3) { y[at + 3 * step] = v.w; }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let line = linear_workgroup(group, count) * WG + lane;
  if (line >= args.lines) { return; }
  var start = line * LENGTH;
  if (!CONTIGUOUS) { start = line / args.inner * LENGTH * args.inner + line % args.inner; }
  var a = load_quad(start, 0);
  var b = a;
  var c = a;
  var d = a;
  if (LENGTH > 4) { b = load_quad(start, 1); }
  if (LENGTH > 8) { c = load_quad(start, 2); }
  if (LENGTH > 12) { d = load_quad(start, 3); }
  let ab = select(a, b, b > a);
  let cd = select(c, d, d > c);
  let most = max4(select(ab, cd, cd > ab));
  a -= most;
  b -= most;
  c -= most;
  d -= most;
  let ea = exp4_or_nan(a);
  var sum = sum_quad(ea, 0);
  var eb = ea;
  var ec = ea;
  var ed = ea;
  if (LENGTH > 4) { eb = exp4_or_nan(b); sum += sum_quad(eb, 1); }
  if (LENGTH > 8) { ec = exp4_or_nan(c); sum += sum_quad(ec, 2); }
  if (LENGTH > 12) { ed = exp4_or_nan(d); sum += sum_quad(ed, 3); }
  let log_sum = log(sum);
  store_quad(start, 0, select(ea / sum, a - log_sum, LOG));
  if (LENGTH > 4) { store_quad(start, 1, select(eb / sum, b - log_sum, LOG)); }
  if (LENGTH > 8) { store_quad(start, 2, select(ec / sum, c - log_sum, LOG)); }
  if (LENGTH > 12) { store_quad(start, 3, select(ed / sum, d - log_sum, LOG)); }
}
