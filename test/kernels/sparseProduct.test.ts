import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { sparseProduct } from '../../src/kernels/sparseProduct.ts';
import { type WeightMatrix, weightsOf } from '../../src/kernels/weightMatrix.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';
import { blocksOf, maskedMatrix, nOfM, type Packing, pack, unstructured } from '../support/sparse.ts';

/** x·Wᵀ in float64 with zero weights left out, then bias, residual and bounds. */
function product(
  matrix: WeightMatrix,
  x: Float32Array,
  m: number,
  {
    bias,
    residual,
    lo = -Infinity,
    hi = Infinity,
  }: { bias?: Float32Array; residual?: Float32Array; lo?: number; hi?: number },
): Float64Array {
  const { rows, k } = matrix;
  const weights = weightsOf(matrix);
  return Float64Array.from({ length: m * rows }, (_, at) => {
    const column = Math.floor(at / rows);
    const row = at % rows;
    let sum = (bias?.[row] ?? 0) + (residual?.[at] ?? 0);
    for (let i = 0; i < k; i++) {
      const weight = weights[row * k + i]!;
      if (weight !== 0) sum += weight * x[column * k + i]!;
    }
    return sum < lo ? lo : sum > hi ? hi : sum;
  });
}

async function computed(
  kind: 'gpu' | 'cpu',
  matrix: WeightMatrix,
  packing: Packing,
  m: number,
  x: Float32Array<ArrayBuffer>,
  epilogue: boolean,
) {
  const recorder = new DirectRecorder(await testGpu());
  const packed = pack(matrix, packing);
  const bias = epilogue ? randomFloats(7, matrix.rows) : undefined;
  const residual = epilogue ? randomFloats(8, m * matrix.rows) : undefined;
  const bounds = epilogue ? { lo: -0.5, hi: 0.75 } : {};
  const out = recorder.temporary('f32', m * matrix.rows);
  sparseProduct(recorderOfKind(recorder, kind), {
    weights: { ...packed, operand: recorder.upload('u32', packed.words) },
    x: recorder.upload('f32', x),
    bias: bias && recorder.upload('f32', bias),
    residual: residual && recorder.upload('f32', residual),
    out,
    m,
    ...bounds,
  });
  await recorder.run();
  const actual = await recorder.read(out);
  recorder.dispose();
  return {
    actual,
    expected: product(matrix, x, m, { ...(bias && { bias }), ...(residual && { residual }), ...bounds }),
  };
}

// Sizes are no multiples of tiles, windows, groups or blocks.
const cases: [name: string, matrix: WeightMatrix, packing: Packing, m: number][] = [
  ['rows, f32', maskedMatrix(70, 37, unstructured(1, 0.15)), 'rows', 19],
  ['rows, int8, one column', maskedMatrix(21, 100, unstructured(2, 0.1), 'int8'), 'rows', 1],
  ['rows, int4, two slots', maskedMatrix(13, 50, unstructured(3, 0.4), 'int4'), 'rows', 3],
  ['rows, f16', maskedMatrix(40, 64, unstructured(4, 0.2), 'f16'), 'rows', 5],
  ['rows, unsigned codes around a zero point', maskedMatrix(9, 33, unstructured(5, 0.2), 'uint4'), 'rows', 2],
  ['rows, nothing is zero', maskedMatrix(12, 20, () => true), 'rows', 2],
  ['rows, one full row among empty ones', maskedMatrix(11, 41, (row) => row === 6), 'rows', 4],
  ['rows, one weight', maskedMatrix(1, 1, () => true), 'rows', 1],
  ['rows, long sums', maskedMatrix(2, 65_600, (_, term) => term % 997 === 5 || term > 65_590), 'rows', 1],
  ['2:4, f32', maskedMatrix(70, 30, nOfM(2, 4)), { n: 2, m: 4 }, 33],
  ['2:4, int8, one column', maskedMatrix(17, 26, nOfM(2, 4), 'int8'), { n: 2, m: 4 }, 1],
  ['2:4, int4', maskedMatrix(24, 64, nOfM(2, 4), 'int4'), { n: 2, m: 4 }, 2],
  ['1:4 in a 2:4 form', maskedMatrix(9, 21, nOfM(1, 4), 'f16'), { n: 2, m: 4 }, 3],
  ['1:4', maskedMatrix(33, 12, nOfM(1, 4), 'f16'), { n: 1, m: 4 }, 7],
  ['4:8', maskedMatrix(8, 36, nOfM(4, 8)), { n: 4, m: 8 }, 5],
  ['blocks of 8x8', maskedMatrix(27, 44, blocksOf(6, 0.4, 8, 8)), { blockRows: 8, blockK: 8 }, 21],
  ['blocks of 4x4, int8', maskedMatrix(19, 27, blocksOf(7, 0.3, 4, 4), 'int8'), { blockRows: 4, blockK: 4 }, 2],
  ['blocks of 16x5, f16', maskedMatrix(40, 23, blocksOf(8, 0.5, 16, 5), 'f16'), { blockRows: 16, blockK: 5 }, 1],
  ['blocks of 80x8, int4', maskedMatrix(90, 19, blocksOf(9, 0.5, 80, 8), 'int4'), { blockRows: 80, blockK: 8 }, 3],
];

describe.each(KINDS)('a sparse product as a %s computes it', (kind) => {
  it.each(cases)('%s', async (_, matrix, packing, m) => {
    const x = randomFloats(9, m * matrix.k);
    for (const epilogue of [false, true]) {
      const { actual, expected } = await computed(kind, matrix, packing, m, x, epilogue);
      expect(relativeError(actual, expected)).toBeLessThan(1e-5);
    }
  });

  it.each(['rows', { n: 2, m: 4 }, { blockRows: 8, blockK: 8 }] as Packing[])(
    'no weight at all, %j',
    async (packing) => {
      const matrix = maskedMatrix(10, 16, () => false);
      const { actual, expected } = await computed(kind, matrix, packing, 3, randomFloats(1, 48), true);
      expect(relativeError(actual, expected)).toBeLessThan(1e-6);
      const zeros = await computed(kind, matrix, packing, 3, randomFloats(1, 48), false);
      expect([...zeros.actual]).toEqual(new Array(30).fill(0));
    },
  );

  it('no term, no column', async () => {
    const empty = await computed(
      kind,
      maskedMatrix(5, 0, () => true),
      'rows',
      2,
      new Float32Array(0),
      true,
    );
    expect(relativeError(empty.actual, empty.expected)).toBeLessThan(1e-6);
    const none = await computed(
      kind,
      maskedMatrix(5, 8, () => true),
      'rows',
      0,
      new Float32Array(0),
      false,
    );
    expect(none.actual).toHaveLength(0);
  });

  it.each([
    ['rows', maskedMatrix(20, 24, (row, term) => (row + term) % 9 === 0)],
    [{ n: 2, m: 4 }, maskedMatrix(20, 24, (row, term) => (row + term) % 4 === 0)],
    [{ blockRows: 8, blockK: 8 }, maskedMatrix(20, 24, (row, term) => (row + term) % 9 === 0)],
  ] as [Packing, WeightMatrix][])('a NaN where there is no weight stays there, %j', async (packing, matrix) => {
    const x = randomFloats(3, 2 * 24);
    x[5] = Number.NaN;
    x[24 + 11] = Number.NaN;
    const { actual, expected } = await computed(kind, matrix, packing, 2, x, false);
    const spoilt = (values: ArrayLike<number>) => Array.from(values, (value) => !Number.isFinite(value));
    expect(spoilt(actual)).toEqual(spoilt(expected));
    expect(spoilt(actual).filter(Boolean).length).toBeGreaterThan(0);
    const finite = (values: ArrayLike<number>) => Array.from(values, (value) => (Number.isFinite(value) ? value : 0));
    expect(relativeError(finite(actual), finite(expected))).toBeLessThan(1e-5);
  });

  it('the same words give the same bits', async () => {
    const matrix = maskedMatrix(30, 50, unstructured(1, 0.2));
    const x = randomFloats(2, 4 * 50);
    const [first, second] = [
      await computed(kind, matrix, 'rows', 4, x, true),
      await computed(kind, matrix, 'rows', 4, x, true),
    ];
    expect(second.actual).toEqual(first.actual);
  });
});

it('refuses weights in groups', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const packed = pack(
    maskedMatrix(4, 4, () => true),
    'rows',
    2,
  );
  const operand = recorder.upload('u32', packed.words);
  const x = recorder.upload('f32', new Float32Array(4));
  const call = { weights: { ...packed, operand }, x, out: recorder.temporary('f32', 4), m: 1 };
  expect(() => sparseProduct(recorder, call)).toThrow('2 groups');
  recorder.dispose();
});
