// Softmax cross-entropy with label smoothing, and the distillation loss of Hinton et al. 2015:
//   CE = log sum exp(z - m) - (1 - smoothing) (z[label] - m) - smoothing/C sum (z - m),   m = max z
//   loss = (1 - alpha) CE + alpha T^2 KL(softmax(t/T) || softmax(z/T))
//   dz = weight/count ((1 - alpha) (softmax(z) - target) + alpha T (softmax(z/T) - softmax(t/T)))
// LANES invocations share a row; their sums are combined in a fixed order.

struct Args {
  rows: u32, classes: u32,
  count: u32, // rows that are samples; the rest is padding, with no loss, gradient or rank
  smoothing: f32, weight: f32, alpha: f32, temperature: f32,
}

const LANES: u32 = 64u; // a power of two
const ROWS: u32 = 1u; // rows per workgroup
const WG: u32 = 64u; // LANES * ROWS
const TEACHER: bool = false;
const GRADIENT: bool = true;
const NO_RANK: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> logits: array<f32>; // [rows][classes]
@group(0) @binding(2) var<storage, read> teacher: array<f32>; // [rows][classes]
@group(0) @binding(3) var<storage, read> labels: array<u32>; // [rows]
@group(0) @binding(4) var<storage, read_write> losses: array<f32>; // [rows]
@group(0) @binding(5) var<storage, read_write> ranks: array<u32>; // [rows]: logits before the label's
@group(0) @binding(6) var<storage, read_write> dlogits: array<f32>; // [rows][classes]

var<workgroup> scratch: array<vec4f, WG>;

fn reduce_max(value: vec4f, lane: u32, local: u32) -> vec4f {
  if (LANES == 1u) { return value; }
  scratch[local] = value;
  workgroupBarrier();
  for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) { scratch[local] = max(scratch[local], scratch[local + stride]); }
    workgroupBarrier();
  }
  let result = scratch[local - lane];
  workgroupBarrier();
  return result;
}

fn reduce_sum(value: vec4f, lane: u32, local: u32) -> vec4f {
  if (LANES == 1u) { return value; }
  scratch[local] = value;
  workgroupBarrier();
  for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) { scratch[local] += scratch[local + stride]; }
    workgroupBarrier();
  }
  let result = scratch[local - lane];
  workgroupBarrier();
  return result;
}

// By the bits: comparisons with a NaN may be optimised away.
fn is_nan(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let row = (group.x + group.y * groups.x) * ROWS + local / LANES;
  let real = row < min(args.count, args.rows);
  // Rows of padding go through the barriers with nothing to add.
  let classes = select(0u, args.classes, real);
  let base = row * args.classes;

  var top = vec4f(-3.4028234663852886e38);
  for (var j = lane; j < classes; j += LANES) {
    top.x = max(top.x, logits[base + j]);
    if (TEACHER) { top.y = max(top.y, teacher[base + j]); }
  }
  top = reduce_max(top, lane, local);

  let inverse = 1.0 / args.temperature;
  var sums = vec4f(0.0);
  for (var j = lane; j < classes; j += LANES) {
    let z = logits[base + j] - top.x;
    sums.x += exp(z);
    sums.y += z;
    if (TEACHER) {
      sums.z += exp(z * inverse);
      sums.w += exp((teacher[base + j] - top.y) * inverse);
    }
  }
  sums = reduce_sum(sums, lane, local);

  var label = 0u;
  var chosen = 0.0;
  if (real) {
    label = labels[row];
    chosen = logits[base + min(label, args.classes - 1u)];
  }
  let unlike = is_nan(chosen);
  let scale = args.weight / f32(max(args.count, 1u));
  let even = args.smoothing / f32(args.classes);
  let log_student = log(sums.z);
  let log_teacher = log(sums.w);
  var last = vec4f(0.0); // divergence; logits that rank before the label's; logits that make the loss undefined
  for (var j = lane; j < classes; j += LANES) {
    let logit = logits[base + j];
    let z = logit - top.x;
    let before = logit > chosen || (logit == chosen && j < label) || is_nan(logit) || unlike;
    if (before) { last.y += 1.0; }
    if (is_nan(logit) || bitcast<u32>(logit) == 0x7f800000u) { last.z += 1.0; }
    var d = exp(z) / sums.x - even - select(0.0, 1.0 - args.smoothing, j == label);
    if (TEACHER) {
      let t = (teacher[base + j] - top.y) * inverse - log_teacher;
      let s = z * inverse - log_student;
      let p = exp(t);
      if (p > 0.0 || is_nan(p)) { last.x += p * (t - s); }
      d = (1.0 - args.alpha) * d + args.alpha * args.temperature * (exp(s) - p);
    }
    if (GRADIENT) { dlogits[base + j] = scale * d; }
  }
  last = reduce_sum(last, lane, local);

  if (row >= args.rows) { return; }
  if (!real && GRADIENT) {
    for (var j = lane; j < args.classes; j += LANES) { dlogits[base + j] = 0.0; }
  }
  if (lane != 0u) { return; }
  if (!real) {
    losses[row] = 0.0;
    ranks[row] = NO_RANK;
    return;
  }
  var loss = log(sums.x) - (1.0 - args.smoothing) * (chosen - top.x);
  if (args.smoothing > 0.0) { loss -= even * sums.y; }
  if (TEACHER) { loss = (1.0 - args.alpha) * loss + args.alpha * args.temperature * args.temperature * last.x; }
  // Some adapters' exp turns a NaN into a number, and a run that has diverged would look healthy.
  if (last.z > 0.0) { loss = bitcast<f32>(0x7fc00000u | (label & 1u)); }
  losses[row] = loss;
  ranks[row] = u32(last.y);
}
