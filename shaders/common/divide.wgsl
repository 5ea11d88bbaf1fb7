// a / b in few instructions where integer division is slow: the float estimate is at most one off below 2^24 quotients.
fn divide(a: u32, b: u32) -> u32 {
  let q = u32(f32(a) / f32(b));
  let down = select(q, q - 1, q * b > a);
  return select(down, down + 1, a - down * b >= b);
}
