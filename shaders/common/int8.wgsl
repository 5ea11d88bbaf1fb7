// Sum of four products of signed bytes. Adapters whose language lacks the function get another text for this line
// (src/kernels/int8Dot.ts).
fn dot4(a: u32, b: u32) -> i32 {
  return dot4I8Packed(a, b);
}
