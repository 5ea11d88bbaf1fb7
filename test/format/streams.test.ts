import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packBits, packedBytes, paddingIsZero, unpackBits } from '../../src/format/bits.ts';
import { crc32 } from '../../src/format/crc32.ts';
import {
  bestGapBits,
  decodingBitmap,
  decodingGaps,
  encodeBitmap,
  encodeGaps,
  gapSymbolCount,
  storedPositions,
} from '../../src/format/sparse.ts';
import { makeStringIndex, readStringTable } from '../../src/format/stringTable.ts';
import { finish } from '../../src/kernels/steps.ts';

describe('packBits', () => {
  it('puts value i at bits i·b…, least significant first', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(255), { maxLength: 50 }), (bits, values) => {
        const expected = values.reduce((sum, value, i) => sum | (BigInt(value % 2 ** bits) << BigInt(i * bits)), 0n);
        const packed = packBits(values, bits);
        expect(packed.length).toBe(Math.ceil((values.length * bits) / 8));
        expect(packed.reduce((sum, byte, i) => sum | (BigInt(byte) << BigInt(8 * i)), 0n)).toBe(expected);
        expect(Array.from(unpackBits(packed, bits, values.length))).toEqual(values.map((value) => value % 2 ** bits));
        expect(paddingIsZero(packed, values.length * bits)).toBe(true);
      }),
    );
  });

  it('spends three bits on a 3-bit value', () => {
    expect(packBits(new Uint8Array(8000), 3).length).toBe(3000);
    expect(packedBytes(1, 3)).toBe(1);
  });

  it('notices a set bit in the padding', () => {
    expect(paddingIsZero(Uint8Array.of(0b0100_0000), 6)).toBe(false);
    expect(paddingIsZero(Uint8Array.of(0b0010_0000), 6)).toBe(true);
  });
});

const elements = fc.array(fc.boolean(), { maxLength: 400 });
const sparseElements = fc
  .tuple(fc.nat(3000), fc.array(fc.nat(2999), { maxLength: 12 }))
  .map(([length, ones]) => Array.from({ length }, (_, i) => ones.includes(i)));

describe('sparse indices', () => {
  it('come back from a bitmap and from gaps of every width', () => {
    fc.assert(
      fc.property(fc.oneof(elements, sparseElements), fc.integer({ min: 1, max: 8 }), (flags, bits) => {
        const positions = storedPositions(flags.length, (i) => flags[i]!);
        expect(Array.from(positions)).toEqual(flags.flatMap((flag, i) => (flag ? [i] : [])));
        const bitmap = encodeBitmap(positions, flags.length);
        expect(finish(decodingBitmap(bitmap, flags.length, positions.length))).toEqual(positions);
        expect(finish(decodingBitmap(bitmap, flags.length, positions.length + 1))).toBeUndefined();
        const symbols = gapSymbolCount(positions, flags.length, bits);
        const gaps = encodeGaps(positions, flags.length, bits);
        expect(gaps.length).toBe(packedBytes(symbols, bits));
        expect(finish(decodingGaps(gaps, bits, symbols, flags.length, positions.length))).toEqual(positions);
        expect(finish(decodingGaps(gaps, bits, symbols, flags.length, positions.length + 1))).toBeUndefined();
        expect(finish(decodingGaps(gaps, bits, symbols, flags.length + 2 ** bits, positions.length))).toBeUndefined();
      }),
    );
  });

  it('choose the gap width that takes the fewest bytes', () => {
    const positions = storedPositions(10_000, (i) => i % 97 === 5);
    const sizes = Array.from({ length: 8 }, (_, i) => encodeGaps(positions, 10_000, i + 1).length);
    const best = bestGapBits(positions, 10_000);
    expect(sizes[best.bits - 1]).toBe(Math.min(...sizes));
    expect(best.symbols).toBe(gapSymbolCount(positions, 10_000, best.bits));
  });

  it('never claim more elements than 255 a symbol', () => {
    expect(finish(decodingGaps(Uint8Array.of(255), 8, 1, 1e9, 0))).toBeUndefined();
    expect(finish(decodingGaps(Uint8Array.of(255), 8, 1, 510, 0))).toBeUndefined();
    expect(finish(decodingGaps(Uint8Array.of(255), 8, 1, 509, 0))).toEqual(new Uint32Array(0));
    expect(finish(decodingGaps(new Uint8Array(0), 8, 0, 255, 0))).toBeUndefined();
  });
});

describe('string table', () => {
  it('gives every string back', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 12 })), (texts) => {
        const index = makeStringIndex(texts);
        const table = readStringTable(JSON.parse(JSON.stringify(index.json)), 'strings');
        expect(texts.map((text) => table.at(index.indexOf(text), 'text'))).toEqual(texts);
      }),
    );
  });

  it('shares prefixes but never half a surrogate pair', () => {
    const { json } = makeStringIndex(['layer1.conv1', 'layer1.conv2', 'abc😀', 'abc😁']);
    expect(json).toEqual(['abc😀', 3, '😁', 'layer1.conv1', 11, '2']);
  });

  it.each([[[5, 'a']], [['abc', 4, 'x']], [['abc', 1]], [['abc', 1, 2, 'x']], [['a', -1, 'x']], [['a', null]], ['a']])(
    'refuses %j',
    (json) => {
      expect(() => readStringTable(json, 'strings')).toThrow(/^strings/);
    },
  );
});

describe('crc32', () => {
  it('agrees with zlib, in parts and whole', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(crc32(a, b)).toBe(zlibCrc32(Buffer.concat([a, b])));
      }),
    );
  });
});
