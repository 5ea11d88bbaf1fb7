import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { matmul, matrix, type ShallowPlan } from '../../src/kernels/matmul.ts';
import { matmulShallow, planShallow, shallowPlans } from '../../src/kernels/matmulShallow.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { expectProduct, type ProductCase } from '../support/expectProduct.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats } from '../support/numbers.ts';

const cases: [name: string, ProductCase][] = [
  ['an outer product', { m: 37, n: 45, k: 1, plain: true }],
  ['two terms', { m: 9, n: 35, k: 2 }],
  ['three terms, many turns', { m: 1001, n: 21, k: 3, plain: true }],
  ['seven terms', { m: 50, n: 100, k: 7, plain: true }],
  ['eight terms in whole vectors', { m: 33, n: 36, k: 8, plain: true }],
  ['ten terms', { m: 64, n: 128, k: 10 }],
  ['sixteen terms in whole vectors', { m: 70, n: 132, k: 16, plain: true }],
  ['sixteen terms, odd', { m: 71, n: 131, k: 16 }],
  ['thirty-two terms in whole vectors', { m: 45, n: 68, k: 32, plain: true }],
  ['thirty-one terms', { m: 33, n: 33, k: 31 }],
  ['two passes, odd', { m: 35, n: 37, k: 33, plain: true }],
  ['two passes over a batch', { m: 17, n: 20, k: 64, batches: 3 }],
  ['two passes, transposed', { m: 20, n: 19, k: 50, ta: true, tb: true }],
  ['rows transposed', { m: 35, n: 20, k: 11, ta: true }],
  ['columns transposed', { m: 35, n: 20, k: 12, tb: true }],
  ['both transposed', { m: 19, n: 33, k: 5, ta: true, tb: true, plain: true }],
  ['a single row', { m: 1, n: 40, k: 6 }],
  ['a single element', { m: 1, n: 1, k: 1 }],
  ['fewer columns than a lane has', { m: 41, n: 3, k: 9, plain: true }],
  ['a batch', { m: 8, n: 8, k: 8, batches: 50 }],
  ['an odd batch', { m: 7, n: 7, k: 7, batches: 41, plain: true }],
  ['matrices within a buffer', { m: 12, n: 24, k: 8, offset: 4 }],
  ['matrices within a buffer, unaligned', { m: 12, n: 24, k: 8, offset: 3 }],
];

describe('products of few terms', () => {
  it.each(cases)('%s', async (_, shape) => {
    // The other way round is the same but for its strides, and a pipeline more to compile.
    const isOdd = shape.k % 2 > 0;
    await expectProduct('cpu', shape, matmulShallow, (...of) => shallowPlans(...of).slice(0, isOdd ? 2 : 1));
  });

  it('are not computed this way without terms, of more of them, and on a GPU', () => {
    const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
    expect(shallowPlans(lavapipe, { m: 100, n: 100, k: 0 })).toEqual([]);
    expect(shallowPlans(lavapipe, { m: 100, n: 100, k: 65 })).toEqual([]);
    expect(shallowPlans({ kind: 'cpu' }, { m: 100, n: 100, k: 8 })).toEqual([]);
    expect(shallowPlans({ kind: 'gpu', subgroupSize: 32 }, { m: 100, n: 100, k: 8 })).toEqual([]);
  });

  it('let NaN through to the row that it stands in, and no further', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const [m, n, k] = [30, 50, 6];
    const a = randomFloats(4, m * k);
    a[7 * k + 5] = Number.NaN;
    const [left, right] = [recorder.upload('f32', a), recorder.upload('f32', randomFloats(5, n * k))];
    const out = recorder.temporary('f32', m * n);
    matmul(recorder, {
      ...{ m, n, k, lo: 0, a: matrix(left, k), b: matrix(right, n), out: matrix(out, n) },
      alternatives: (of, whole, shape) => {
        const [plan] = shallowPlans({ ...of.capabilities, kind: 'cpu' }, shape);
        return matmulShallow(of, whole, shape, plan);
      },
    });
    await recorder.run();
    const rows = Array.from({ length: m * n }, (_, i) => Math.floor(i / n) === 7);
    expect(Array.from(await recorder.read(out), Number.isNaN)).toEqual(rows);
    recorder.dispose();
  });
});

describe('the rule for few terms', () => {
  const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
  const swiftShader: Adapter = { kind: 'cpu', subgroupSize: 4 };
  const idOf = (plan: ShallowPlan | undefined) => {
    return plan && `${plan.variant.rows} rows, ${plan.turns} turns of ${plan.kChunk}${plan.swap ? ', swapped' : ''}`;
  };

  it.each([
    [swiftShader, 1000, 1000, 7, '4 rows, 32 turns of 7'],
    [swiftShader, 64, 128, 10, '4 rows, 4 turns of 10'],
    [lavapipe, 1000, 1000, 16, '8 rows, 32 turns of 16'],
    [lavapipe, 8, 2000, 4, '8 rows, 1 turns of 4'],
    [lavapipe, 2000, 3, 4, '4 rows, 1 turns of 4, swapped'],
    // A single turn is not worth a loop on SwiftShader, nor is a single row anywhere.
    [swiftShader, 4, 2000, 4, undefined],
    [lavapipe, 1, 2000, 4, undefined],
    [lavapipe, 5, 1453, 16, undefined],
    [lavapipe, 1000, 1000, 17, undefined],
    // Up to 32 terms in one pass, up to 64 in two, if rows are enough to make up for B.
    [swiftShader, 1000, 1000, 31, '4 rows, 32 turns of 31'],
    [swiftShader, 1000, 1000, 50, '4 rows, 32 turns of 28'],
    [swiftShader, 64, 64, 32, undefined],
    [swiftShader, 1000, 999, 50, undefined],
    [swiftShader, 1000, 1000, 65, undefined],
  ] as const)('%j, %i x %i, %i terms: %s', (adapter, m, n, k, expected) => {
    expect(idOf(planShallow(adapter, { m, n, k }))).toBe(expected);
  });

  it('covers every element', () => {
    const length = fc.integer({ min: 1, max: 5000 });
    const terms = fc.integer({ min: 1, max: 64 });
    const batches = fc.integer({ min: 1, max: 100 });
    fc.assert(
      fc.property(
        fc.constantFrom(lavapipe, swiftShader),
        length,
        length,
        terms,
        batches,
        (adapter, m, n, k, batches) => {
          const plans = shallowPlans(adapter, { m, n, k, batches });
          expect(plans).toHaveLength(2);
          for (const { variant, tilesM, tilesN, turns, swap, kChunk } of plans) {
            const [rows, columns] = swap ? [n, m] : [m, n];
            expect(tilesM * turns * variant.rows).toBeGreaterThanOrEqual(rows);
            expect((tilesM - 1) * turns * variant.rows).toBeLessThan(rows);
            expect(kChunk).toBeLessThanOrEqual(32);
            expect(Math.ceil(k / kChunk)).toBe(Math.ceil(k / 32));
            expect(tilesN).toBe(Math.ceil(columns / (4 * adapter.subgroupSize!)));
          }
        },
      ),
    );
  });
});
