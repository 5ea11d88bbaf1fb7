// Peak rate of dot4I8Packed: four 8-bit products and four additions each. Each chain feeds its sum back as an operand,
// so that no product can be moved out of the loop.
struct Args {
  rounds: u32,
  weights: u32,
}

override WG: u32 = 64;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> out: array<i32>;

fn next(acc: vec4i) -> vec4i {
  let x = bitcast<vec4u>(acc);
  let w = args.weights;
  return acc + vec4i(dot4I8Packed(x.x, w), dot4I8Packed(x.y, w), dot4I8Packed(x.z, w), dot4I8Packed(x.w, w));
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let seed = i32(id.x) * 4;
  var acc0 = vec4i(seed, seed + 1, seed + 2, seed + 3);
  var acc1 = acc0 + 7;
  var acc2 = acc0 + 11;
  var acc3 = acc0 + 13;
  for (var round = 0u; round < args.rounds; round++) {
    acc0 = next(acc0);
    acc1 = next(acc1);
    acc2 = next(acc2);
    acc3 = next(acc3);
    acc0 = next(acc0);
    acc1 = next(acc1);
    acc2 = next(acc2);
    acc3 = next(acc3);
    acc0 = next(acc0);
    acc1 = next(acc1);
    acc2 = next(acc2);
    acc3 = next(acc3);
    acc0 = next(acc0);
    acc1 = next(acc1);
    acc2 = next(acc2);
    acc3 = next(acc3);
  }
  let sum = acc0 + acc1 + acc2 + acc3;
  out[id.x] = sum.x + sum.y + sum.z + sum.w;
}
