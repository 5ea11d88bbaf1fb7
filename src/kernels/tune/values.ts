/** Uniform in [−1, 1), the same for a seed every time (mulberry32). */
export function seededValues(seed: number, length: number): Float32Array<ArrayBuffer> {
  let state = Math.imul(seed, 0x9e3779b9);
  return Float32Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}

/** The largest difference, relative to the largest element of `b`, and where it is; NaN counts as infinite. */
export function worstDifference(a: Float32Array, b: Float32Array): { worst: number; index: number } {
  let scale = 1e-30;
  let worst = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  let index = 0;
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    scale = Math.max(scale, Math.abs(b[i]!));
    if (!(difference <= worst)) {
      worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
      index = i;
    }
  }
  return { worst: worst / scale, index };
}
