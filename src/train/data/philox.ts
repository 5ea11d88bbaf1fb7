/**
 * Philox4x32-10, a counter-based generator: random numbers are a pure function of a key (the seed) and a counter (which
 * number is wanted). Nothing has to be saved to resume at any point of a run.
 * Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3 and table 2.
 */
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** Upper 32 bits of the 64-bit product of two unsigned 32-bit integers. */
export function mulHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  // The two middle products and the carry stay below 2^34, which a double holds exactly.
  const middle = a0 * b1 + a1 * b0 + ((a0 * b0) >>> 16);
  return (a1 * b1 + Math.floor(middle / 0x10000)) >>> 0;
}

/** Replaces the four words of `block` (the counter) by four random words. */
export function philox4x32(block: Uint32Array, key0: number, key1: number): void {
  let c0 = block[0]!;
  let c1 = block[1]!;
  let c2 = block[2]!;
  let c3 = block[3]!;
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = mulHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = mulHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  block[0] = c0;
  block[1] = c1;
  block[2] = c2;
  block[3] = c3;
}

/** What random numbers are for: streams with different purposes never share a number. */
export const STREAM = { order: 1, augmentation: 2, holdOut: 3, weights: 4 } as const;

/**
 * A stream of uniform 32-bit words for (seed, purpose, epoch, index).
 * @param seed integer in 0 .. 2^53 - 1
 */
export function randomWords(seed: number, purpose: number, epoch = 0, index = 0): () => number {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`seed ${seed}: give an integer from 0 to 2^53 - 1`);
  }
  const key0 = seed >>> 0;
  const key1 = Math.floor(seed / 2 ** 32);
  const block = new Uint32Array(4);
  let blocks = 0;
  let next = 4;
  return () => {
    if (next === 4) {
      block[0] = blocks++;
      block[1] = index;
      block[2] = epoch;
      block[3] = purpose;
      philox4x32(block, key0, key1);
      next = 0;
    }
    return block[next++]!;
  };
}

/**
 * A uniform integer in 0 .. range - 1 without bias (multiply and reject).
 * Source: Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 2019, algorithm 5.
 */
export function uniformBelow(range: number, word: () => number): number {
  const threshold = (2 ** 32 - range) % range;
  for (;;) {
    const random = word();
    if (Math.imul(random, range) >>> 0 >= threshold) return mulHigh(random, range);
  }
}
