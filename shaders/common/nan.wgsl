// By its bits: compilers may take a comparison of a value with itself for true.
fn is_nan(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

// exp that stays NaN for NaN; some adapters (SwiftShader) clamp the argument and make a number of it.
fn exp_or_nan(v: f32) -> f32 {
  return select(exp(v), v, is_nan(v));
}

fn exp4_or_nan(v: vec4f) -> vec4f {
  return select(exp(v), v, (bitcast<vec4u>(v) & vec4u(0x7fffffff)) > vec4u(0x7f800000));
}
