// The step that a quantizer takes from its trained scale: one that has shrunk to nothing counts as TINY, and a step that is
// to be a power of two is the nearest one by ratio.
const TINY: f32 = 1e-12;

fn quantizer_step(scale: f32, power_of_two: bool) -> f32 {
  let s = max(scale, TINY);
  // What a significand lacks from the square root of 2 on carries into the exponent.
  return select(s, bitcast<f32>((bitcast<u32>(s) + 0x4afb0cu) & 0xff800000u), power_of_two);
}
