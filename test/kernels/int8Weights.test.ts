import { expect, it } from 'vitest';
import { LimitError } from '../../src/gpu/errors.ts';
import { canPackInt8, int8Bits, packInt8 } from '../../src/kernels/int8Weights.ts';
import type { WeightMatrix } from '../../src/kernels/weightMatrix.ts';
import { randomWeights } from '../support/weightMatrices.ts';

function integers(rows: number, k: number, code: (i: number) => number, zero?: Int32Array, bits = 8): WeightMatrix {
  const codes = Int16Array.from({ length: rows * k }, (_, i) => code(i));
  const scale = Float32Array.from({ length: rows }, (_, row) => row + 0.5);
  const values = { kind: 'int', bits, codes, scale, halfScale: true, group: k, ...(zero && { zero }) } as const;
  return { rows, k, values };
}

it('lays rows side by side, four input channels to a word, tap by tap', () => {
  // Two groups of two rows, five input channels each, two taps.
  const matrix = integers(4, 10, (i) => i - 20);
  const { words, at, order, groupWords } = packInt8(matrix, { groups: 2, taps: 2 });
  expect(order).toBe('rows');
  expect(groupWords).toBe(8);
  const bytes = [...new Int8Array(words.buffer)];
  // Row 0, tap 0: channels 0 to 3 at k = 0, 2, 4, 6; beside it row 1.
  expect(bytes.slice(0, 8)).toEqual([-20, -18, -16, -14, -10, -8, -6, -4]);
  // The second word of channels: channel 4 alone.
  expect(bytes.slice(8, 16)).toEqual([-12, 0, 0, 0, -2, 0, 0, 0]);
  // Tap 1 of row 1, and tap 0 of the second group's first row.
  expect(bytes.slice(20, 24)).toEqual([-9, -7, -5, -3]);
  expect(bytes.slice(32, 36)).toEqual([0, 2, 4, 6]);
  expect(at.scales).toBe(16);
  expect([...new Float32Array(words.buffer, 4 * at.scales, 4)]).toEqual([0.5, 1.5, 2.5, 3.5]);
  const sum = (row: number) => Array.from({ length: 10 }, (_, i) => row * 10 + i - 20).reduce((a, b) => a + b);
  expect([...new Int32Array(words.buffer, 4 * at.sums, 4)]).toEqual([0, 1, 2, 3].map(sum));
});

it('keeps codes of at most four bits as nibbles, two words of k to a word', () => {
  // Two groups of two rows, five input channels each, three taps: six words of k, the fifteenth of each row −8.
  const matrix = integers(4, 15, (i) => (i % 16) - 8, undefined, 4);
  const shape = { groups: 2, taps: 3 };
  const { words, at, bits, groupWords, reach, ...layout } = packInt8(matrix, shape);
  expect([bits, groupWords, at.scales, layout.rowStride]).toEqual([4, 6, 12, 2]);
  const code = (row: number, channel: number, tap: number) =>
    channel < 5 ? ((row * 15 + channel * 3 + tap) % 16) - 8 : 0;
  const nibbles: number[] = [];
  for (const group of [0, 1]) {
    for (const tap of [0, 1, 2]) {
      for (const row of [2 * group, 2 * group + 1]) {
        for (const byte of [0, 1, 2, 3]) nibbles.push(code(row, byte, tap), code(row, byte + 4, tap));
      }
    }
  }
  const found = [...new Uint8Array(words.buffer, 0, 4 * at.scales)].flatMap((byte) => [byte & 15, byte >> 4]);
  expect(found.map((nibble) => (nibble ^ 8) - 8)).toEqual(nibbles);
  const row = (r: number) => [...(matrix.values as { codes: Int16Array }).codes].slice(15 * r, 15 * r + 15);
  const total = (values: number[]) => values.reduce((a, b) => a + b);
  expect([...new Int32Array(words.buffer, 4 * at.sums, 4)]).toEqual([0, 1, 2, 3].map((r) => total(row(r))));
  expect(reach).toBe(Math.max(...[0, 1, 2, 3].map((r) => total(row(r).map(Math.abs)))));
  // An odd number of words leaves half a word over; a dense layer's rows are whole fours of words of k.
  expect(
    packInt8(
      integers(3, 9, () => 7, undefined, 4),
      { groups: 1, taps: 9 },
    ).groupWords,
  ).toBe(15);
  expect(
    packInt8(
      integers(3, 9, () => 7, undefined, 4),
      { groups: 1, taps: 1 },
    ).groupWords,
  ).toBe(8);
});

it('takes bytes where codes do not fit nibbles, and for depthwise layers', () => {
  const shape = { groups: 1, taps: 1 };
  for (const format of ['int1', 'int2', 'int3', 'int4']) expect(int8Bits(randomWeights(format, 5, 9), shape)).toBe(4);
  for (const format of ['int5', 'int8', 'int6z']) expect(int8Bits(randomWeights(format, 5, 9), shape)).toBe(8);
  expect(int8Bits(randomWeights('f16', 5, 9), shape)).toBeUndefined();
  const unsigned = (zero: number) => integers(2, 16, (i) => i % 16, Int32Array.of(8, zero), 4);
  expect(int8Bits(unsigned(8), shape)).toBe(4);
  expect(int8Bits(unsigned(7), shape)).toBe(8);
  expect(int8Bits(unsigned(9), shape)).toBe(8);
  expect(packInt8(unsigned(9), shape).bits).toBe(8);
  expect(packInt8(randomWeights('int4', 6, 9), { groups: 6, taps: 9 }).bits).toBe(8);
  // Sums of 16-fold codes: 255·128 per term.
  const long = (k: number) => integers(1, k, () => -8, undefined, 4);
  expect(int8Bits(long(65793), shape)).toBe(4);
  expect(int8Bits(long(65794), shape)).toBe(8);
});

it('packs four channels of a depthwise layer into a word', () => {
  const { words, order, at } = packInt8(
    integers(5, 3, (i) => i),
    { groups: 5, taps: 3 },
  );
  expect(order).toBe('channels');
  expect([...new Int8Array(words.buffer, 0, 24)]).toEqual([
    ...[0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11],
    ...[12, 0, 0, 0, 13, 0, 0, 0, 14, 0, 0, 0],
  ]);
  expect(at.sums % 4).toBe(at.scales % 4);
});

it('takes zero points off', () => {
  const zero = Int32Array.of(3, 7);
  const matrix = integers(2, 4, (i) => i, zero);
  const { words, at, reach } = packInt8(matrix, { groups: 1, taps: 1 });
  expect(reach).toBe(6);
  expect([...new Int8Array(words.buffer, 0, 8)]).toEqual([-3, -2, -1, 0, -3, -2, -1, 0]);
  expect([...new Int32Array(words.buffer, 4 * at.sums, 2)]).toEqual([-6, -6]);
});

it('refuses what the kernels cannot do', () => {
  const dense = { groups: 1, taps: 1 };
  for (const format of ['int2', 'int3', 'int4', 'int5', 'int6', 'int7', 'int8', 'int7z', 'int4z']) {
    expect(canPackInt8(randomWeights(format, 5, 9), dense), format).toBe(true);
  }
  for (const format of ['f32', 'f16', 'table4', 'int4/8', 'int8/8z']) {
    const matrix = randomWeights(format, 5, 9);
    expect(canPackInt8(matrix, dense), format).toBe(false);
    expect(() => packInt8(matrix, dense)).toThrow(LimitError);
  }
  const wide = integers(1, 2, (i) => 255 * i, Int32Array.of(100));
  expect(canPackInt8(wide, dense)).toBe(false);
  expect(() => packInt8(wide, dense)).toThrow('not 155 in row 0');
  expect(
    canPackInt8(
      integers(3, 4, () => 1),
      { groups: 2, taps: 1 },
    ),
  ).toBe(false);
  expect(
    canPackInt8(
      integers(3, 4, () => 1),
      { groups: 1, taps: 3 },
    ),
  ).toBe(false);
  // 255·128 per term: 65,793 terms reach 2^31.
  const long = (k: number) => integers(1, k, () => -128);
  expect(canPackInt8(long(65792), dense)).toBe(true);
  expect(canPackInt8(long(65794), dense)).toBe(false);
  expect(() => packInt8(long(65794), dense)).toThrow(LimitError);
});
