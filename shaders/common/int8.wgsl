// Words of four signed bytes, the first in the lowest byte, or of eight signed nibbles, and the quantizer that makes the
// former.

fn bytes4(word: u32) -> vec4i {
  return (vec4i(bitcast<i32>(word)) << vec4u(24, 16, 8, 0)) >> vec4u(24);
}

// A word of nibbles is two words of k: the low nibbles of its bytes are the first, the high ones the second. This is the
// one that `half` (0 or 1) says.
fn nibbles4(word: u32, half: u32) -> vec4i {
  return (vec4i(bitcast<i32>(word)) << (vec4u(28, 20, 12, 4) - 4 * half)) >> vec4u(28);
}

// The same without shifts, which SwiftShader makes lane by lane: what is left of a product by a power of two holds the number
// in its uppermost bits, and is a float exactly.
fn bytes4_by_products(word: u32) -> vec4f {
  let high = (word * vec4u(0x1000000, 0x10000, 0x100, 1)) & vec4u(0xff000000);
  return vec4f(bitcast<vec4i>(high)) * 0x1p-24;
}

fn nibbles4_by_products(word: u32, half: u32) -> vec4f {
  let high = (word * select(16u, 1u, half == 1) * vec4u(0x1000000, 0x10000, 0x100, 1)) & vec4u(0xf0000000);
  return vec4f(bitcast<vec4i>(high)) * 0x1p-28;
}

// The same as bytes of 16 times the nibbles, which takes a shift and a mask; sums come out 16-fold.
fn nibbles_16fold(word: u32, half: u32) -> u32 {
  return (word << (4 - 4 * half)) & 0xf0f0f0f0;
}

fn pack_bytes(bytes: vec4i) -> u32 {
  let b = bitcast<vec4u>(bytes) & vec4u(255);
  return b.x | (b.y << 8) | (b.z << 16) | (b.w << 24);
}

// Sum of the four products. Where the language lacks the function, src/kernels/int8Dot.ts puts another body here.
fn dot4(a: u32, b: u32) -> i32 {
  return dot4I8Packed(a, b);
}

// Codes of x as fake_quantize has them; what is stored is the code minus `shift`.
fn codes_of(x: vec4f, scale: f32, low: f32, high: f32, shift: i32) -> vec4i {
  return vec4i(round(clamp(x / scale, vec4f(low), vec4f(high)))) - shift;
}
