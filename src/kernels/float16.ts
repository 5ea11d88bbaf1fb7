/** IEEE 754 binary16 bits to a number, exactly. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The binary16 nearest to a number (ties to even, overflow to infinity), as bits. */
export function numberToFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  // 65520 lies half-way between the largest float16 and the next power of two: it and all above round to infinity.
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundHalfToEven(magnitude * 2 ** 24);
  const exponent = Math.min(15, Math.floor(Math.log2(magnitude)));
  // log2 may round up just below a power of two; the carry out of the fraction repairs the other direction.
  const scale = magnitude < 2 ** exponent ? exponent - 1 : exponent;
  return sign | (((scale + 15) << 10) + roundHalfToEven((magnitude / 2 ** scale - 1) * 1024));
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}

export function float16ToFloat32(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, float16ToNumber);
}

export function float32ToFloat16(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, numberToFloat16);
}
