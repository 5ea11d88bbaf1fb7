// Quantizes the rows of x = [rows][k] into words of four neighbours, in whole fours: [rows][words]. Codes behind k are
// zero's.
import package::common::grid::linear_workgroup;
import package::common::int8::{codes_of, pack_bytes};

struct Args {
  n: u32, span: u32, // words of out, and those of a workgroup
  k: u32, words: u32, // words of a row
  scale: f32, low: f32, high: f32, shift: i32,
}

override WG: u32 = 64;
// vec4f where rows are whole fours of words (WHOLE).
alias T = vec4f;
const WHOLE: bool = true;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    if (WHOLE) {
      out[i] = pack_bytes(codes_of(vec4f(x[i]), args.scale, args.low, args.high, args.shift));
    } else {
      let row = i / args.words;
      let k = 4 * (i - row * args.words) + vec4u(0, 1, 2, 3);
      let at = row * args.k + min(k, vec4u(args.k - 1));
      let v = vec4f(vec4f(x[at.x]).x, vec4f(x[at.y]).x, vec4f(x[at.z]).x, vec4f(x[at.w]).x);
      let codes = codes_of(v, args.scale, args.low, args.high, args.shift);
      out[i] = pack_bytes(select(vec4i(-args.shift), codes, k < vec4u(args.k)));
    }
  }
}
