// out[i] = f(x[i]); OP picks the function (src/kernels/unary.ts names them), a and b are its parameters.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32,
  a: f32,
  b: f32,
}

override WG: u32 = 64;
const OP: u32 = 0u;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn sigmoid(v: f32) -> f32 {
  // exp of a negative argument only: the other sign would overflow.
  let e = exp(-abs(v));
  return select(e, 1.0, v >= 0.0) / (1.0 + e);
}

fn apply(v: f32) -> f32 {
  switch OP {
    case 1u: { return select(args.a * v, v, v >= 0.0); } // LeakyRelu
    case 2u: { return clamp(v, args.a, args.b); } // Clip
    case 3u: { return sigmoid(v); }
    case 4u: { return 2.0 * sigmoid(2.0 * v) - 1.0; } // Tanh: some drivers' tanh overflows beyond 44
    case 5u: { return v * clamp(v / 6.0 + 0.5, 0.0, 1.0); } // HardSwish
    default: { return max(v, 0.0); } // Relu
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = linear_workgroup(group, count) * WG + lane;
  if (i < args.n) {
    out[i] = apply(x[i]);
  }
}
