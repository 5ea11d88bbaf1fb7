// out[i] = scale * (a[i'] op b[i'']), clamped where BOUNDED, with NumPy's broadcasting; OP and the maps are named in
// src/kernels/binary.ts.
//
// A_MAP, B_MAP: 0 reads element i (equal shapes); 1 reads (i / div) % mod, which is every operand whose own axes lie
// together (a scalar, [C], [C,1,1], [N,1], …); 2 walks up to RANK axes with a stride each, 0 where it is broadcast.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements in units of T, and those of a workgroup
  scale: f32, lo: f32, hi: f32,
  a_div: u32, a_mod: u32, b_div: u32, b_mod: u32,
  // Lengths of the axes, innermost first (the outermost needs none), and the operands' strides.
  d0: u32, d1: u32, d2: u32, d3: u32, d4: u32, d5: u32, d6: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, a4: u32, a5: u32, a6: u32, a7: u32,
  b0: u32, b1: u32, b2: u32, b3: u32, b4: u32, b5: u32, b6: u32, b7: u32,
}

override WG: u32 = 64;
const OP: u32 = 0u;
const A_MAP: u32 = 0u;
const B_MAP: u32 = 0u;
const RANK: u32 = 8u;
const BOUNDED: bool = false;
// vec4f where both operands are read element by element and these are whole vectors.
alias T = f32;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<T>;
@group(0) @binding(3) var<storage, read_write> out: array<T>;

fn walk(i: u32) -> vec2u {
  var rest = i;
  var at = vec2u();
  var q = rest / args.d0;
  at += (rest - q * args.d0) * vec2u(args.a0, args.b0);
  rest = q;
  q = rest / args.d1;
  at += (rest - q * args.d1) * vec2u(args.a1, args.b1);
  rest = q;
  q = rest / args.d2;
  at += (rest - q * args.d2) * vec2u(args.a2, args.b2);
  rest = q;
  if (RANK == 4u) {
    return at + rest * vec2u(args.a3, args.b3);
  }
  q = rest / args.d3;
  at += (rest - q * args.d3) * vec2u(args.a3, args.b3);
  rest = q;
  q = rest / args.d4;
  at += (rest - q * args.d4) * vec2u(args.a4, args.b4);
  rest = q;
  q = rest / args.d5;
  at += (rest - q * args.d5) * vec2u(args.a5, args.b5);
  rest = q;
  q = rest / args.d6;
  at += (rest - q * args.d6) * vec2u(args.a6, args.b6);
  return at + q * vec2u(args.a7, args.b7);
}

fn places(i: u32) -> vec2u {
  if (A_MAP == 2u || B_MAP == 2u) {
    return walk(i);
  }
  var at = vec2u(i);
  if (A_MAP == 1u) { at.x = i / args.a_div % args.a_mod; }
  if (B_MAP == 1u) { at.y = i / args.b_div % args.b_mod; }
  return at;
}

fn apply(x: T, y: T) -> T {
  switch OP {
    case 1u: { return x - y; }
    case 2u: { return x * y; }
    case 3u: { return x / y; }
    case 4u: { return x; } // the left operand alone
    default: { return x + y; }
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) count: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, count) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    let at = places(i);
    var v = args.scale * apply(a[at.x], b[at.y]);
    if (BOUNDED) {
      // Comparisons, so that a NaN stays visible.
      v = select(v, T(args.lo), v < T(args.lo));
      v = select(v, T(args.hi), v > T(args.hi));
    }
    out[i] = v;
  }
}
