// out[i] = f(x[i]); OP picks the function (src/kernels/unary.ts names them), a and b are its parameters.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements in units of T, and those of a workgroup
  a: f32,
  b: f32,
}

override WG: u32 = 64;
const OP: u32 = 0u;
// vec4f where the elements are whole vectors.
alias T = vec4f;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<T>;

fn sigmoid(v: T) -> T {
  // exp of a negative argument only: the other sign would overflow.
  let e = exp(-abs(v));
  return select(e, T(1.0), v >= T(0.0)) / (1.0 + e);
}

fn apply(v: T) -> T {
  switch OP {
    case 1u: { return select(args.a * v, v, v >= T(0.0)); } // LeakyRelu
    case 2u: { return clamp(v, T(args.a), T(args.b)); } // Clip
    case 3u: { return sigmoid(v); }
    case 4u: { return 2.0 * sigmoid(2.0 * v) - 1.0; } // Tanh: some drivers' tanh overflows beyond 44
    case 5u: { return v * clamp(v / 6.0 + 0.5, T(0.0), T(1.0)); } // HardSwish
    default: { return max(v, T(0.0)); } // Relu
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    out[i] = apply(x[i]);
  }
}
