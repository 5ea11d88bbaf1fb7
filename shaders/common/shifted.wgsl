// Rows of numbers that lie next to each other, yet begin anywhere within a vector: read as whole vectors, each of them once,
// and shifted by what the row is off. On adapters that run on a CPU a vector is read in two thirds of the time of four
// numbers.
struct Shift { by: u32, is_two: bool, is_one: bool }

// Of a row that begins at element `start`.
fn shift_of(start: u32) -> Shift {
  return Shift(start % 4, (start & 2) != 0, (start & 1) != 0);
}

// The four numbers that begin `by` numbers into a vector, of it and of the next one.
fn shifted(low: vec4f, high: vec4f, shift: Shift) -> vec4f {
  let pairs = select(low, vec4f(low.zw, high.xy), shift.is_two);
  let next = select(high.x, high.z, shift.is_two);
  return select(pairs, vec4f(pairs.yzw, next), shift.is_one);
}
