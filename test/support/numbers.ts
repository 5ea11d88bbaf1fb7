/** Seeded uniform numbers in [low, high): tests name the same data on every run. */
export function random(seed: number): (low?: number, high?: number) => number {
  let state = seed >>> 0;
  return (low = 0, high = 1) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return low + ((t ^ (t >>> 14)) >>> 0) * 2 ** -32 * (high - low);
  };
}

export function randomFloats(seed: number, length: number, low = -1, high = 1): Float32Array<ArrayBuffer> {
  const next = random(seed);
  return Float32Array.from({ length }, () => next(low, high));
}

/** Largest |a − b| over the largest |b|: the error relative to the scale of the tensor. NaN in either is infinite. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let scale = 1e-30;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    if (Number.isNaN(error)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, error);
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return difference / scale;
}
