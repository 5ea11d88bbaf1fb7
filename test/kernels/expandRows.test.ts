import { afterAll, describe, expect, it } from 'vitest';
import { packDense } from '../../src/kernels/denseWeights.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { float16ToNumber } from '../../src/kernels/float16.ts';
import { halfWords } from '../../src/kernels/halfWords.ts';
import { packInt8 } from '../../src/kernels/int8Weights.ts';
import type { PackedWeights } from '../../src/kernels/layerFamily.ts';
import { CODINGS, type CodingName } from '../../src/kernels/rowStreams.ts';
import { storeWeights } from '../../src/kernels/storedWeights.ts';
import type { WeightMatrix, WeightValues } from '../../src/kernels/weightMatrix.ts';
import { testGpu } from '../support/gpu.ts';
import { random, randomFloats } from '../support/numbers.ts';
import { randomWeights } from '../support/weightMatrices.ts';

const recorders: DirectRecorder[] = [];
afterAll(() => {
  for (const recorder of recorders) recorder.dispose();
});

/** Zeros in all elements but those that `keep` tells. */
function thinned(matrix: WeightMatrix, keep: (i: number) => boolean): WeightMatrix {
  const values = matrix.values as { data?: Float32Array | Uint16Array; codes?: Int16Array };
  const thin = <T extends Float32Array | Uint16Array | Int16Array>(elements: T): T =>
    elements.map((element, i) => (keep(i) ? element : 0)) as T;
  const changed = values.codes ? { codes: thin(values.codes) } : { data: thin(values.data as Float32Array) };
  return { ...matrix, values: { ...matrix.values, ...changed } as WeightValues };
}

/** Words that the GPU makes of the stored ones, after their memory held something else, and the bias that comes along. */
async function expanded(matrix: WeightMatrix, weights: PackedWeights, coding: CodingName) {
  const stored = storeWeights(matrix, weights, coding);
  if (!stored) throw new Error('The weights are not stored');
  const recorder = new DirectRecorder(await testGpu());
  recorders.push(recorder);
  const bias = randomFloats(3, matrix.rows);
  const made = stored.expand(recorder, {
    stored: recorder.upload('u32', stored.words),
    halfBias: recorder.upload('u32', halfWords(bias)),
  });
  const operand = made.operand as ReturnType<typeof recorder.upload<'u32'>>;
  const gpu = await testGpu();
  gpu.write(operand.slice, new Uint32Array(operand.elements).fill(0xdeadbeef));
  await recorder.run();
  const words = await recorder.readU32(operand);
  const floats = await recorder.read(made.bias as ReturnType<typeof recorder.upload<'f32'>>);
  return { words, bias: floats, halves: new Uint16Array(halfWords(bias).buffer).slice(0, matrix.rows), stored };
}

/** Elements that are kept: one in five, but none of row 1 and all of row 2. */
function pattern(k: number) {
  const next = random(11);
  const kept = Array.from({ length: 1 << 18 }, () => next(0, 1) < 0.2);
  return (i: number) => {
    const row = Math.floor(i / k);
    return row === 2 || (row !== 1 && (kept[i] as boolean));
  };
}

const codings = Object.keys(CODINGS) as CodingName[];

/** rows, k, groups, taps. */
const int8Shapes = [
  [1, 1, 1, 1],
  [7, 33, 1, 1],
  [8, 64, 1, 1],
  [150, 250, 1, 1],
  [5, 27, 1, 9],
  [16, 54, 1, 9],
  [33, 16 * 9, 1, 9],
  [6, 18, 2, 9],
  [12, 4 * 9, 3, 9],
  [10, 9, 10, 9],
  [40, 25, 40, 25],
] as const;

describe.each(codings)('rows in %s streams', (coding) => {
  it.each(int8Shapes)('become int8 words of %i × %i, %i groups, %i taps', async (rows, k, groups, taps) => {
    for (const format of ['int2', 'int3', 'int4', 'int7', 'int8', 'int3z']) {
      const base = randomWeights(format, rows, k, rows + k);
      const matrix = format.endsWith('z') ? base : thinned(base, pattern(k));
      const weights = packInt8(matrix, { groups, taps });
      const { words, bias, halves } = await expanded(matrix, weights, coding);
      const padding = 4 * Math.ceil(rows / 4);
      // Nobody reads the sums of rows that are not there.
      const used = weights.at.sums + rows;
      expect(weights.words.length).toBe(weights.at.sums + padding);
      expect(words.slice(0, used), format).toEqual(weights.words.slice(0, used));
      expect([...bias]).toEqual([...halves].map(float16ToNumber));
    }
  });

  it.each([
    [1, 1],
    [3, 5],
    [9, 64],
    [17, 130],
    [200, 96],
  ])('become dense words of %i × %i', async (rows, k) => {
    // Formats of one plane, whose words are those of the weights as they are; 3 bits become nibbles.
    for (const format of ['int1', 'int2', 'int4', 'int8', 'f16', 'f32', 'int4/16', 'int8/32']) {
      if (format.includes('/') && k < 32) continue;
      // An even seed: scales are float32.
      const matrix = thinned(randomWeights(format, rows, k, 2 * (rows + k)), pattern(k));
      const { words, stored } = await expanded(matrix, packDense(matrix), coding);
      const { bits } = stored.layer as { bits: number };
      const { values } = matrix;
      const expected =
        values.kind === 'int' && values.bits !== bits ? { ...matrix, values: { ...values, bits } } : matrix;
      expect(words, format).toEqual(packDense(expected).words);
    }
  });

  it('takes codes of several planes as those of the next power of two', async () => {
    const matrix = thinned(randomWeights('int3', 9, 70, 2), pattern(70));
    const { words } = await expanded(matrix, packDense(matrix), coding);
    expect(words).toEqual(packDense({ ...matrix, values: { ...matrix.values, bits: 4 } as WeightValues }).words);
  });

  it('takes weights that are all zero', async () => {
    for (const format of ['int4', 'f16', 'f32']) {
      const matrix = thinned(randomWeights(format, 12, 45, 2), () => false);
      const weights = format === 'int4' ? packInt8(matrix, { groups: 1, taps: 1 }) : packDense(matrix);
      const { words } = await expanded(matrix, weights, coding);
      expect(words, format).toEqual(weights.words);
    }
  });
});

describe('what is stored', () => {
  it('takes the coding that is smallest', () => {
    const next = random(2);
    const codingOf = (format: string, density: number) => {
      const matrix = thinned(randomWeights(format, 64, 576, 2), () => next(0, 1) < density);
      return storeWeights(matrix, packInt8(matrix, { groups: 1, taps: 9 }))?.coding;
    };
    expect(codingOf('int4', 0.75)).toBe('bitmap');
    expect(codingOf('int4', 0.05)).toBe('gap');
    expect(codingOf('int3', 1)).toBe('packed');
    // The form itself is as small.
    const dense = randomWeights('int4', 64, 576, 2);
    expect(storeWeights(dense, packDense(dense))).toBeUndefined();
  });

  it('has no more than its codes and scales where all terms have one, and 2 % of starts where not', () => {
    const scales = 4 * 256;
    const dense = randomWeights('int3', 256, 1152, 2);
    const packed = storeWeights(dense, packInt8(dense, { groups: 1, taps: 9 }));
    expect(packed?.words.byteLength).toBe((3 * 256 * 1152) / 8 + scales + 4);
    const half = thinned(dense, (i) => i % 2 === 0);
    const nonzeros = (half.values as { codes: Int16Array }).codes.reduce((sum, code) => sum + Number(code !== 0), 0);
    const bitmap = storeWeights(half, packInt8(half, { groups: 1, taps: 9 }), 'bitmap');
    const bytes = (3 * nonzeros + 256 * 1152) / 8;
    expect(bitmap?.words.byteLength).toBeGreaterThan(1.01 * bytes + scales);
    expect(bitmap?.words.byteLength).toBeLessThan(1.021 * bytes + scales);
  });

  it('is nothing where there are no weights', () => {
    const matrix = randomWeights('int3', 0, 9, 2);
    expect(storeWeights(matrix, packDense(matrix))).toBeUndefined();
  });
});
