// a / b in few instructions where integer division is slow. The float estimate is at most one off while the quotient is
// below 2^21: a division may err by 2.5 units in the last place (WGSL, "Floating Point Accuracy").
fn divide(a: u32, b: u32) -> u32 {
  let q = u32(f32(a) / f32(b));
  let down = select(q, q - 1, q * b > a);
  return select(down, down + 1, a - down * b >= b);
}

fn divide4(a: vec4u, b: u32) -> vec4u {
  let q = vec4u(vec4f(a) / f32(b));
  let down = select(q, q - 1, q * b > a);
  return select(down, down + 1, a - down * b >= vec4u(b));
}
