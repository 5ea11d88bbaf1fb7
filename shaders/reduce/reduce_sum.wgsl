// out[s][o] = scale * sum over r in [s*chunk, (s+1)*chunk) of x[place(o) + place(r)]: sums over some axes of a tensor.
// Adjacent axes of one kind are merged beforehand, so that up to four kept and DIMS reduced ones are left, innermost
// first; the outermost needs no length. LANES invocations share a sum; a second pass adds the splits. All lengths and
// distances are in units of T.
import package::common::grid::linear_workgroup;
import package::common::lines::{WG, LANES, sum_lanes};

struct Args {
  outputs: u32, length: u32, chunk: u32, splits: u32,
  scale: f32,
  k0: u32, k1: u32, k2: u32,
  ks0: u32, ks1: u32, ks2: u32, ks3: u32,
  r0: u32, r1: u32, r2: u32,
  rs0: u32, rs1: u32, rs2: u32, rs3: u32,
}

const DIMS: u32 = 4u;
// vec4f where neighbours are summed and everything comes in whole vectors; WIDTH is how many numbers that is.
alias T = f32;
const WIDTH: f32 = 1.0;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn kept(o: u32) -> u32 {
  let q0 = o / args.k0;
  let q1 = q0 / args.k1;
  let q2 = q1 / args.k2;
  return (o - q0 * args.k0) * args.ks0 + (q0 - q1 * args.k1) * args.ks1 + (q1 - q2 * args.k2) * args.ks2 + q2 * args.ks3;
}

fn reduced(r: u32) -> u32 {
  if (DIMS == 1u) { return r * args.rs0; }
  let q0 = r / args.r0;
  let first = (r - q0 * args.r0) * args.rs0;
  if (DIMS == 2u) { return first + q0 * args.rs1; }
  let q1 = q0 / args.r1;
  let q2 = q1 / args.r2;
  return first + (q0 - q1 * args.r1) * args.rs1 + (q1 - q2 * args.r2) * args.rs2 + q2 * args.rs3;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let line = linear_workgroup(group, count) * (WG / LANES) + lane / LANES;
  let present = line < args.outputs * args.splits;
  var sum = T(0.0);
  if (present) {
    let base = kept(line % args.outputs);
    let start = (line / args.outputs) * args.chunk;
    let end = min(args.length, start + args.chunk);
    for (var r = start + lane % LANES; r < end; r += LANES) {
      sum += x[base + reduced(r)];
    }
  }
  let total = sum_lanes(dot(vec4f(sum), vec4f(WIDTH / 4.0)), lane);
  if (present && lane % LANES == 0u) {
    out[line] = args.scale * total;
  }
}
