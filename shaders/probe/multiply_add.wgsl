// Peak rate of multiply-adds of S, four in a T: f32, or f16 where the adapter has it.
// Eight registers of four chains each: enough independent multiply-adds to hide their latency, few enough to stay in
// registers. Nothing is loaded in the loop. The product is written as `a * x + y`, as the kernels write it: an adapter
// that fuses it may, and one that does not has its true rate measured.

struct Args {
  rounds: u32,
  x: f32, y: f32, // |x| < 1, so that values settle and never overflow
}

override WG: u32 = 64;
// 4 or 8 registers: the better one depends on the adapter.
const CHAINS: u32 = 8u;
alias S = f32;
alias T = vec4f;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = T(S(args.x));
  let y = T(S(args.y));
  let seed = S(id.x % 16);
  var acc0 = T(seed + S(0));
  var acc1 = T(seed + S(1));
  var acc2 = T(seed + S(2));
  var acc3 = T(seed + S(3));
  var acc4 = T(seed + S(4));
  var acc5 = T(seed + S(5));
  var acc6 = T(seed + S(6));
  var acc7 = T(seed + S(7));
  for (var round = 0u; round < args.rounds; round++) {
    // Four steps a round: the loop's own cost must not show.
    acc0 = acc0 * x + y;
    acc1 = acc1 * x + y;
    acc2 = acc2 * x + y;
    acc3 = acc3 * x + y;
    if (CHAINS > 4) {
      acc4 = acc4 * x + y;
      acc5 = acc5 * x + y;
      acc6 = acc6 * x + y;
      acc7 = acc7 * x + y;
    }
    acc0 = acc0 * x + y;
    acc1 = acc1 * x + y;
    acc2 = acc2 * x + y;
    acc3 = acc3 * x + y;
    if (CHAINS > 4) {
      acc4 = acc4 * x + y;
      acc5 = acc5 * x + y;
      acc6 = acc6 * x + y;
      acc7 = acc7 * x + y;
    }
    acc0 = acc0 * x + y;
    acc1 = acc1 * x + y;
    acc2 = acc2 * x + y;
    acc3 = acc3 * x + y;
    if (CHAINS > 4) {
      acc4 = acc4 * x + y;
      acc5 = acc5 * x + y;
      acc6 = acc6 * x + y;
      acc7 = acc7 * x + y;
    }
    acc0 = acc0 * x + y;
    acc1 = acc1 * x + y;
    acc2 = acc2 * x + y;
    acc3 = acc3 * x + y;
    if (CHAINS > 4) {
      acc4 = acc4 * x + y;
      acc5 = acc5 * x + y;
      acc6 = acc6 * x + y;
      acc7 = acc7 * x + y;
    }
  }
  out[id.x] = vec4f(acc0 + acc1 + acc2 + acc3 + acc4 + acc5 + acc6 + acc7);
}
