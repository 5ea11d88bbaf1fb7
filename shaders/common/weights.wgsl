// A layer's weights as its kernels read them, [rows][k] whatever the format; src/kernels/denseWeights.ts lays them out.
// The module that imports this has them at binding 2, as words, because an element may be a part of one.
//
// BITS 32: float32, row-major. BITS 16: float16, two of a row's k per word. BITS 1 to 8: codes, weight = scale·(code −
// zero), or scale·table[code]. Codes are cut into planes of 8, 4, 2 and 1 bits (5 bits: a plane of 4, one of 1), so that
// none straddles two words. Words of neighbouring rows are neighbours, for invocations that each have a row of their own.
const BITS: u32 = 32;
const TABLE: bool = false;
// Zero points for each scale, eight bits each, rather than the middle code.
const ZEROS: bool = false;
// Scales are float16, two per word.
const HALF_SCALES: bool = false;
// Whether a row has more than one scale.
const GROUPED: bool = false;

// Words at which the parts begin, and sizes.
struct WeightLayout {
  rows: u32,
  k: u32,
  codes: u32, // float32, float16, or the plane of 8 or 4 bits
  pairs: u32, // the plane of 2 bits
  bits: u32, // the plane of 1 bit
  scales: u32, // [groups][rows]
  zeros: u32, // [groups][rows], four per word
  table: u32,
  group: u32, // terms of a row that share a scale, a multiple of 8
}

@group(0) @binding(2) var<storage, read> weights: array<u32>;

fn plane4(plane: u32, k: u32, per_word: u32, width: u32, at: WeightLayout, row: u32) -> vec4u {
  let word = weights[plane + k / per_word * at.rows + row];
  return (vec4u(word >> (k % per_word * width)) >> (vec4u(0, 1, 2, 3) * width)) & vec4u((1u << width) - 1);
}

// Codes of a row's k to k + 3; k is a multiple of 4. Beyond the last k they are zero.
fn codes4(row: u32, k: u32, at: WeightLayout) -> vec4u {
  if (BITS == 8) { return plane4(at.codes, k, 4, 8, at, row); }
  var codes = vec4u();
  if (BITS >= 4) { codes = plane4(at.codes, k, 8, 4, at, row); }
  if ((BITS & 2) != 0) { codes |= plane4(at.pairs, k, 16, 2, at, row) << vec4u(BITS & 4); }
  if ((BITS & 1) != 0) { codes |= plane4(at.bits, k, 32, 1, at, row) << vec4u(BITS & 6); }
  return codes;
}

fn scale_of(row: u32, k: u32, at: WeightLayout) -> f32 {
  var i = row;
  if (GROUPED) { i += k / at.group * at.rows; }
  if (HALF_SCALES) { return unpack2x16float(weights[at.scales + i / 2])[i % 2]; }
  return bitcast<f32>(weights[at.scales + i]);
}

// The code that stands for zero.
fn zero_of(row: u32, k: u32, at: WeightLayout) -> f32 {
  if (!ZEROS) { return f32(1u << (BITS - 1)); }
  var i = row;
  if (GROUPED) { i += k / at.group * at.rows; }
  return f32((weights[at.zeros + i / 4] >> (i % 4 * 8)) & 255);
}

// What the scale multiplies: code − zero, or the table's entry.
fn levels4(row: u32, k: u32, at: WeightLayout) -> vec4f {
  let codes = codes4(row, k, at);
  if (TABLE) { return lookup(codes, at); }
  return vec4f(codes) - zero_of(row, k, at);
}

// Eight consecutive terms of a row.
struct Eight {
  lo: vec4f,
  hi: vec4f,
}

fn plane8(plane: u32, k: u32, per_word: u32, width: u32, at: WeightLayout, row: u32) -> array<vec4u, 2> {
  let word = weights[plane + k / per_word * at.rows + row] >> (k % per_word * width);
  let shifts = vec4u(0, 1, 2, 3) * width;
  let mask = vec4u((1u << width) - 1);
  return array<vec4u, 2>((vec4u(word) >> shifts) & mask, (vec4u(word >> (4 * width)) >> shifts) & mask);
}

fn lookup(codes: vec4u, at: WeightLayout) -> vec4f {
  let t = codes + at.table;
  return bitcast<vec4f>(vec4u(weights[t.x], weights[t.y], weights[t.z], weights[t.w]));
}

// What the scale multiplies (the weights themselves, where they are floats) of a row's k to k + 7; k is a multiple of 8.
// Beyond the last k they are finite unless a weight is not.
fn levels8(row: u32, k: u32, at: WeightLayout) -> Eight {
  if (BITS == 32) {
    let i = at.codes + row * at.k;
    let last = vec4u(at.k - 1);
    let a = min(k + vec4u(0, 1, 2, 3), last) + i;
    let b = min(k + vec4u(4, 5, 6, 7), last) + i;
    return Eight(
      bitcast<vec4f>(vec4u(weights[a.x], weights[a.y], weights[a.z], weights[a.w])),
      bitcast<vec4f>(vec4u(weights[b.x], weights[b.y], weights[b.z], weights[b.w])),
    );
  }
  if (BITS == 16) {
    let i = min(k / 2 + vec4u(0, 1, 2, 3), vec4u((at.k - 1) / 2)) * at.rows + (at.codes + row);
    return Eight(
      vec4f(unpack2x16float(weights[i.x]), unpack2x16float(weights[i.y])),
      vec4f(unpack2x16float(weights[i.z]), unpack2x16float(weights[i.w])),
    );
  }
  var lo = vec4u();
  var hi = vec4u();
  if (BITS == 8) {
    lo = plane4(at.codes, k, 4, 8, at, row);
    hi = plane4(at.codes, k + 4, 4, 8, at, row);
  }
  if (BITS >= 4 && BITS < 8) {
    let codes = plane8(at.codes, k, 8, 4, at, row);
    lo = codes[0];
    hi = codes[1];
  }
  if ((BITS & 2) != 0 && BITS < 8) {
    let codes = plane8(at.pairs, k, 16, 2, at, row);
    lo |= codes[0] << vec4u(BITS & 4);
    hi |= codes[1] << vec4u(BITS & 4);
  }
  if ((BITS & 1) != 0) {
    let codes = plane8(at.bits, k, 32, 1, at, row);
    lo |= codes[0] << vec4u(BITS & 6);
    hi |= codes[1] << vec4u(BITS & 6);
  }
  if (TABLE) { return Eight(lookup(lo, at), lookup(hi, at)); }
  let zero = zero_of(row, k, at);
  return Eight(vec4f(lo) - zero, vec4f(hi) - zero);
}

// Weights of a row's k to k + 3; k is a multiple of 4. Beyond the last k they are whatever lies there.
fn weight4(row: u32, k: u32, at: WeightLayout) -> vec4f {
  if (BITS == 32) {
    let i = at.codes + row * at.k + k;
    return bitcast<vec4f>(vec4u(weights[i], weights[i + 1], weights[i + 2], weights[i + 3]));
  }
  if (BITS == 16) {
    let i = at.codes + k / 2 * at.rows + row;
    return vec4f(unpack2x16float(weights[i]), unpack2x16float(weights[i + at.rows]));
  }
  return scale_of(row, k, at) * levels4(row, k, at);
}

// The weight of one k.
fn weight(row: u32, k: u32, at: WeightLayout) -> f32 {
  if (BITS == 32) { return bitcast<f32>(weights[at.codes + row * at.k + k]); }
  if (BITS == 16) { return unpack2x16float(weights[at.codes + k / 2 * at.rows + row])[k % 2]; }
  return scale_of(row, k, at) * levels4(row, k / 4 * 4, at)[k % 4];
}
