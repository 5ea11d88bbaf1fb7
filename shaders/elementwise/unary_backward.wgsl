// dx[i] = dy[i] * f'(x[i]), with the derivative from x, or from y = f(x) where that is cheaper (Sigmoid, Tanh).
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
@group(0) @binding(1) var<storage, read> v: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read_write> dx: array<T>;

fn derivative(x: T) -> T {
  switch OP {
    case 1u: { return select(T(args.a), T(1.0), x >= T(0.0)); } // LeakyRelu
    case 2u: { return select(T(0.0), T(1.0), (x > T(args.a)) & (x < T(args.b))); } // Clip
    case 3u: { return x * (1.0 - x); } // Sigmoid, of y
    case 4u: { return 1.0 - x * x; } // Tanh, of y
    case 5u: { return select(select(x / 3.0 + 0.5, T(0.0), x <= T(-3.0)), T(1.0), x >= T(3.0)); } // HardSwish
    default: { return select(T(0.0), T(1.0), x > T(0.0)); } // Relu, of y or of x alike
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    dx[i] = dy[i] * derivative(v[i]);
  }
}
