import { describe, expect, it } from 'vitest';
import { float16ToNumber } from '../../src/kernels/float16.ts';
import { canPackBlocks, packBlocks } from '../../src/kernels/sparseBlocks.ts';
import type { SparseWeights } from '../../src/kernels/sparseFormat.ts';
import { canPackNM, packNM } from '../../src/kernels/sparseNM.ts';
import { canPackRows, packRows } from '../../src/kernels/sparseRows.ts';
import { type WeightMatrix, weightsOf } from '../../src/kernels/weightMatrix.ts';
import { blocksOf, maskedMatrix, nOfM, type Packing, pack, unstructured } from '../support/sparse.ts';

/** Reads the words as the format's description says, adding up what is there twice. */
function unpacked({ words, rows, k, layout, tiles, order, scales, records }: SparseWeights): Float32Array {
  const { sets, slots, indexBits, groupSlots, termBits, valueBits } = layout;
  const floats = new Float32Array(words.buffer);
  const indexWords = Math.ceil((sets * slots * indexBits) / 32);
  const rowWords = indexWords + Math.ceil((sets * slots * valueBits) / 32);
  const fours = 4 * Math.floor(rowWords / 4);
  const list = termBits / 4;
  const field = (at: number, row: number, first: number, j: number, bits: number) => {
    const i = first + Math.floor((j * bits) / 32);
    const word = words[at + list + (i < fours ? 32 * Math.floor(i / 4) + 4 * row + (i % 4) : 8 * i + row)]!;
    return bits === 32 ? word : (word >>> ((j * bits) % 32)) & (2 ** bits - 1);
  };
  const out = new Float32Array(rows * k);
  for (let tile = 0; tile < tiles; tile++) {
    for (let w = words[tile]!; w < words[tile + 1]!; w++) {
      const at = records + w * (list + 8 * rowWords);
      for (let r = 0; r < 8 * sets; r++) {
        const row = words[order + tile * 8 * sets + r]!;
        for (let slot = 0; slot < slots; slot++) {
          const j = (r >> 3) * slots + slot;
          const bits = field(at, r % 8, indexWords, j, valueBits);
          let value = (bits << (32 - valueBits)) >> (32 - valueBits);
          if (valueBits === 32) value = new Float32Array(Uint32Array.of(bits).buffer)[0]!;
          if (valueBits === 16) value = float16ToNumber(bits);
          if (value === 0) continue;
          let place = indexBits > 0 ? field(at, r % 8, 0, j, indexBits) : slot;
          if (groupSlots > 0) place += 4 * Math.floor(slot / groupSlots);
          let term = 8 * (w - words[tile]!) + place;
          if (termBits === 16) term = (words[at + (place >> 1)]! >>> (16 * (place & 1))) & 0xffff;
          if (termBits === 32) term = words[at + place]!;
          expect(row).toBeLessThan(rows);
          expect(term).toBeLessThan(k);
          const scale = scales > 0 ? floats[scales + tile * 8 * sets + r]! : 1;
          out[row * k + term]! += Math.fround(scale * value);
        }
      }
    }
  }
  return out;
}

const cases: [name: string, matrix: WeightMatrix, packing: Packing, groups?: number][] = [
  ['rows', maskedMatrix(70, 37, unstructured(1, 0.15)), 'rows'],
  ['rows of groups', maskedMatrix(30, 18, unstructured(2, 0.3), 'f16'), 'rows', 3],
  ['rows, int8', maskedMatrix(21, 100, unstructured(3, 0.1), 'int8'), 'rows'],
  ['rows, int4 with a zero point', maskedMatrix(9, 50, unstructured(4, 0.4), 'uint4'), 'rows'],
  ['rows, all weights', maskedMatrix(65, 9, () => true), 'rows'],
  ['rows, no weights', maskedMatrix(5, 9, () => false, 'int8'), 'rows'],
  ['rows, more terms than 16 bits count', maskedMatrix(1, 65_600, (_, term) => term % 4099 === 7), 'rows'],
  ['2:4', maskedMatrix(70, 30, nOfM(2, 4)), { n: 2, m: 4 }],
  ['2:4 of groups, int4', maskedMatrix(34, 13, nOfM(2, 4), 'int4'), { n: 2, m: 4 }, 2],
  ['4:8', maskedMatrix(11, 21, nOfM(4, 8), 'int8'), { n: 4, m: 8 }],
  ['3:4', maskedMatrix(11, 21, nOfM(3, 4)), { n: 3, m: 4 }],
  ['blocks', maskedMatrix(27, 44, blocksOf(6, 0.4, 8, 8)), { blockRows: 8, blockK: 8 }],
  ['blocks of groups', maskedMatrix(26, 15, blocksOf(7, 0.4, 13, 3), 'int8'), { blockRows: 4, blockK: 3 }, 2],
  ['blocks larger than the matrix', maskedMatrix(5, 6, () => true), { blockRows: 100, blockK: 100 }],
];

describe('packing sparse weights', () => {
  it.each(cases)('%s', (_, matrix, packing, groups) => {
    const packed = pack(matrix, packing, groups);
    const expected = weightsOf(matrix);
    expect(unpacked(packed)).toEqual(expected.map((value) => value + 0));
    expect(packed.nonzeros).toBe(expected.filter((value) => value !== 0).length);
    expect(packed.tiles % (groups ?? 1)).toBe(0);
  });

  it('fills most slots of random rows', () => {
    const { windows, layout, nonzeros, words } = packRows(maskedMatrix(256, 512, unstructured(9, 0.1)));
    expect(nonzeros / (windows * 8 * layout.sets * layout.slots)).toBeGreaterThan(0.6);
    expect(words.byteLength).toBeLessThan(0.2 * 4 * 256 * 512);
  });

  it('holds half of the weights of 2:4 and two bits each', () => {
    const { words } = packNM(maskedMatrix(64, 64, nOfM(2, 4), 'int8'), 2, 4);
    // One tile: where it begins and ends, 64 rows and their scales, 32 codes and 32 indices of a row.
    expect(words.length).toBe(4 * Math.ceil((2 + 64 + 64) / 4) + 64 * (32 / 4 + (32 * 2) / 32));
  });

  it('keeps blocks with a weight and no others', () => {
    const one = packBlocks(
      maskedMatrix(64, 64, (row, term) => row === 20 && term === 33),
      16,
      16,
    );
    expect(one.windows).toBe(2);
    expect(one.words[0]).toBe(0);
    expect([...one.words.subarray(1, 5)]).toEqual([0, 2, 2, 2]);
  });
});

describe('what fits a form', () => {
  const half = maskedMatrix(8, 16, nOfM(2, 4));
  const groups = { bits: 4, codes: new Int16Array(128), scale: new Float32Array(16), halfScale: false, group: 8 };
  const grouped: WeightMatrix = { rows: 8, k: 16, values: { kind: 'int', ...groups } };
  const table: WeightMatrix = {
    rows: 8,
    k: 16,
    values: { kind: 'table', ...groups, scale: new Float32Array(8), group: 16, table: new Float32Array(16) },
  };
  const wide: WeightMatrix = {
    rows: 1,
    k: 2,
    values: { ...groups, kind: 'int', bits: 8, codes: Int16Array.of(255, 0), zero: Int32Array.of(0), group: 2 },
  };

  it('takes floats and codes with a scale per row', () => {
    expect(canPackRows(half)).toBe(true);
    expect(canPackRows(maskedMatrix(3, 4, () => true, 'uint4'))).toBe(true);
    for (const matrix of [grouped, table, wide]) {
      expect(canPackRows(matrix)).toBe(false);
      expect(canPackNM(matrix, 4, 4)).toBe(false);
      expect(canPackBlocks(matrix, 8, 8)).toBe(false);
      expect(() => packRows(matrix)).toThrow('cannot be packed');
    }
  });

  it('takes a pattern that holds', () => {
    expect(canPackNM(half, 2, 4)).toBe(true);
    expect(canPackNM(half, 1, 4)).toBe(false);
    expect(canPackNM(half, 2, 5)).toBe(false);
    expect(canPackNM(half, 0, 4)).toBe(false);
    expect(() => packNM(half, 1, 4)).toThrow('not 1:4 sparse');
    expect(canPackBlocks(half, 0, 8)).toBe(false);
    expect(() => packBlocks(half, 8, 1.5)).toThrow('sizes are whole numbers');
    expect(() => packRows(half, { groups: 3 })).toThrow('3 groups');
  });
});
