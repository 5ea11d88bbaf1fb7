/**
 * Bit streams: value i of b bits occupies bits i·b .. i·b+b−1 of the stream, least significant bit first, and bit j of
 * the stream is bit j mod 8 of byte ⌊j/8⌋. So three bits take three bits, and values may straddle bytes.
 */
import { finish, inSteps, type Steps } from '../kernels/steps.ts';

/** Bytes that `count` values of `bits` bits take. */
export function packedBytes(count: number, bits: number): number {
  return Math.ceil((count * bits) / 8);
}

/** Packs the low `bits` (1..8) bits of each value; two's complement where values are negative. */
export function packBits(values: ArrayLike<number>, bits: number): Uint8Array {
  const packed = new Uint8Array(packedBytes(values.length, bits));
  const mask = (1 << bits) - 1;
  let pending = 0;
  let pendingBits = 0;
  let at = 0;
  for (let i = 0; i < values.length; i++) {
    pending |= (values[i]! & mask) << pendingBits;
    pendingBits += bits;
    while (pendingBits >= 8) {
      packed[at++] = pending & 255;
      pending >>>= 8;
      pendingBits -= 8;
    }
  }
  if (pendingBits > 0) packed[at] = pending;
  return packed;
}

/** The first `count` values of `bits` (1..8) bits, unsigned. `packed` holds at least `packedBytes(count, bits)` bytes. */
export function unpackBits(packed: Uint8Array, bits: number, count: number): Uint8Array {
  return finish(unpackingBits(packed, bits, count));
}

export function* unpackingBits(packed: Uint8Array, bits: number, count: number): Steps<Uint8Array> {
  const values = new Uint8Array(count);
  yield* inSteps(count, (begin, end) => unpackRange(packed, bits, values, begin, end));
  return values;
}

/** Unpacks values `begin`, a multiple of 8, to `end`. */
export function unpackRange(
  packed: Uint8Array,
  bits: number,
  values: Uint8Array | Int16Array,
  begin: number,
  end: number,
): void {
  const mask = (1 << bits) - 1;
  let pending = 0;
  let pendingBits = 0;
  let at = (begin / 8) * bits;
  for (let i = begin; i < end; i++) {
    if (pendingBits < bits) {
      pending |= packed[at++]! << pendingBits;
      pendingBits += 8;
    }
    values[i] = pending & mask;
    pending >>>= bits;
    pendingBits -= bits;
  }
}

/** Whether the bits after the first `usedBits` of the stream's last byte are zero, as a writer leaves them. */
export function paddingIsZero(packed: Uint8Array, usedBits: number): boolean {
  const rest = usedBits % 8;
  return rest === 0 || packed[packed.length - 1]! >>> rest === 0;
}
