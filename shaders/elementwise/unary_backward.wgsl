// dx[i] = dy[i] * f'(x[i]), with the derivative from x, or from y = f(x) where that is cheaper (Sigmoid, Tanh).
import package::common::grid::linear_workgroup;

struct Args {
  n: u32,
  a: f32,
  b: f32,
}

override WG: u32 = 64;
const OP: u32 = 0u;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn derivative(x: f32) -> f32 {
  switch OP {
    case 1u: { return select(args.a, 1.0, x >= 0.0); } // LeakyRelu
    case 2u: { return select(0.0, 1.0, x > args.a && x < args.b); } // Clip
    case 3u: { return x * (1.0 - x); } // Sigmoid, of y
    case 4u: { return 1.0 - x * x; } // Tanh, of y
    case 5u: { return select(select(x / 3.0 + 0.5, 0.0, x <= -3.0), 1.0, x >= 3.0); } // HardSwish
    default: { return select(0.0, 1.0, x > 0.0); } // Relu, of y or of x alike
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = linear_workgroup(group, count) * WG + lane;
  if (i < args.n) {
    dx[i] = dy[i] * derivative(v[i]);
  }
}
