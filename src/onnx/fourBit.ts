/** Tensors of 4-bit integers (INT4, UINT4): two elements a byte, the first in the low half. */

export function packNibbles(codes: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(Math.ceil(codes.length / 2));
  for (let i = 0; i < codes.length; i++) packed[i >> 1]! |= (codes[i]! & 15) << (4 * (i & 1));
  return packed;
}

/** `count` elements; `packed` holds at least half as many bytes. */
export function unpackNibbles(packed: Uint8Array, count: number, signed: boolean): Int8Array | Uint8Array {
  const codes = signed ? new Int8Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const nibble = (packed[i >> 1]! >> (4 * (i & 1))) & 15;
    codes[i] = signed ? (nibble ^ 8) - 8 : nibble;
  }
  return codes;
}
