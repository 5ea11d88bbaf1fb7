// v within [lo, hi]. By comparisons, not min and max, so that a NaN stays visible.
fn bounded(v: f32, lo: f32, hi: f32) -> f32 {
  let raised = select(v, lo, v < lo);
  return select(raised, hi, raised > hi);
}

fn bounded4(v: vec4f, lo: f32, hi: f32) -> vec4f {
  let raised = select(v, vec4f(lo), v < vec4f(lo));
  return select(raised, vec4f(hi), raised > vec4f(hi));
}
