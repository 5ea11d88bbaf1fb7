// a / b, exact for every a and for b below 2^31, without integer division, which is slow on CPU adapters and many GPUs.
// The first estimate is off by at most a * 2^-21 / b + 1; the remainder's estimate leaves at most one.
fn quotient(a: u32, b: u32) -> u32 {
  let inverse = 1.0 / f32(b);
  let estimate = u32(f32(a) * inverse);
  let q = estimate + u32(i32(f32(i32(a - estimate * b)) * inverse));
  let rest = i32(a - q * b);
  return select(select(q, q + 1, rest >= i32(b)), q - 1, rest < 0);
}
