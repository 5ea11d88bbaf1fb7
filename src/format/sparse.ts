import { inSteps, type Steps } from '../kernels/steps.ts';
import { packBits, packedBytes, unpackingBits } from './bits.ts';

/**
 * Where the non-zero elements of a tensor lie, as one of two streams.
 *
 * Bitmap: one bit per element, 1 for a stored one.
 *
 * Gap: the relative index coding of Deep Compression (Han et al. 2016, §2), k bits a symbol, M = 2^k − 1. A symbol
 * g < M stands for g zeros and then a stored element, g = M for M zeros and nothing stored. (Deep Compression pads with
 * a zero that has a code; without the code a filler costs k bits instead of k + b.) Fewer than M zeros at the end are
 * not written. A stream therefore fixes the element count to within M: a few bytes cannot claim a huge tensor.
 */

export const MAX_GAP_BITS = 8;

/** Positions (ascending) of the elements for which `isStored` is true. */
export function storedPositions(count: number, isStored: (i: number) => boolean): Uint32Array {
  let stored = 0;
  for (let i = 0; i < count; i++) if (isStored(i)) stored++;
  const positions = new Uint32Array(stored);
  let at = 0;
  for (let i = 0; i < count; i++) if (isStored(i)) positions[at++] = i;
  return positions;
}

export function encodeBitmap(positions: Uint32Array, count: number): Uint8Array {
  const bitmap = new Uint8Array(packedBytes(count, 1));
  for (const position of positions) bitmap[position >>> 3]! |= 1 << (position & 7);
  return bitmap;
}

/** Positions of the ones, or undefined where their number is not `stored`. */
export function* decodingBitmap(bitmap: Uint8Array, count: number, stored: number): Steps<Uint32Array | undefined> {
  let ones = 0;
  yield* inSteps(bitmap.length, (begin, end) => {
    for (let i = begin; i < end; i++) for (let byte = bitmap[i]!; byte !== 0; byte &= byte - 1) ones++;
  });
  if (ones !== stored) return undefined;
  const positions = new Uint32Array(stored);
  let at = 0;
  yield* inSteps(count, (begin, end) => {
    for (let i = begin; i < end; i++) if (((bitmap[i >>> 3]! >>> (i & 7)) & 1) === 1) positions[at++] = i;
  });
  return positions;
}

/** Symbols of a gap stream of `bits` bits. */
export function gapSymbolCount(positions: Uint32Array, count: number, bits: number): number {
  const filler = (1 << bits) - 1;
  let symbols = positions.length;
  let next = 0;
  for (const position of positions) {
    symbols += Math.floor((position - next) / filler);
    next = position + 1;
  }
  return symbols + Math.floor((count - next) / filler);
}

/** The width that makes the stream shortest (the smaller of equals). */
export function bestGapBits(positions: Uint32Array, count: number): { bits: number; symbols: number } {
  let best = { bits: 1, symbols: gapSymbolCount(positions, count, 1) };
  for (let bits = 2; bits <= MAX_GAP_BITS; bits++) {
    const symbols = gapSymbolCount(positions, count, bits);
    if (packedBytes(symbols, bits) < packedBytes(best.symbols, best.bits)) best = { bits, symbols };
  }
  return best;
}

export function encodeGaps(positions: Uint32Array, count: number, bits: number): Uint8Array {
  const filler = (1 << bits) - 1;
  const symbols = new Uint8Array(gapSymbolCount(positions, count, bits));
  let at = 0;
  let next = 0;
  for (const position of positions) {
    let zeros = position - next;
    for (; zeros >= filler; zeros -= filler) symbols[at++] = filler;
    symbols[at++] = zeros;
    next = position + 1;
  }
  symbols.fill(filler, at);
  return packBits(symbols, bits);
}

/** Positions of the stored elements, or undefined where the stream does not cover `count` elements, `stored` of them. */
export function* decodingGaps(
  stream: Uint8Array,
  bits: number,
  symbolCount: number,
  count: number,
  stored: number,
): Steps<Uint32Array | undefined> {
  const filler = (1 << bits) - 1;
  if (stored > symbolCount || count >= (symbolCount + 1) * (filler + 1)) return undefined;
  const positions = new Uint32Array(stored);
  const symbols = yield* unpackingBits(stream, bits, symbolCount);
  let at = 0;
  let next = 0;
  let fits = true;
  yield* inSteps(symbolCount, (begin, end) => {
    for (let i = begin; i < end && fits; i++) {
      next += symbols[i]!;
      if (symbols[i] === filler) continue;
      fits = at < stored && next < count;
      if (fits) positions[at++] = next++;
    }
  });
  const rest = count - next;
  return fits && at === stored && rest >= 0 && rest < filler ? positions : undefined;
}
