import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { type DotsPlan, type MatmulCall, matmul, matrix } from '../../src/kernels/matmul.ts';
import { dotsPlans, matmulDots, planDots } from '../../src/kernels/matmulDots.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { expectProduct, type ProductCase } from '../support/expectProduct.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';

const cases: [name: string, ProductCase][] = [
  ['a row', { m: 1, n: 64, k: 1024, tb: true }],
  ['an odd row by odd columns', { m: 1, n: 13, k: 1023, tb: true }],
  ['two rows', { m: 2, n: 9, k: 130, tb: true }],
  ['three rows, odd', { m: 3, n: 7, k: 77, tb: true }],
  ['four rows', { m: 4, n: 10, k: 512, tb: true }],
  ['fewer terms than lanes', { m: 3, n: 5, k: 3, tb: true }],
  ['one term', { m: 1, n: 5, k: 1, tb: true }],
  ['rows that do not lie term by term', { m: 3, n: 6, k: 300, ta: true, tb: true }],
  ['few columns', { m: 100, n: 1, k: 300 }],
  ['few columns, both term by term', { m: 37, n: 3, k: 256, tb: true }],
  ['a batch', { m: 2, n: 5, k: 260, tb: true, batches: 3 }],
  ['an odd batch', { m: 1, n: 5, k: 261, tb: true, batches: 3 }],
  ['long sums, in parts', { m: 2, n: 3, k: 60000, tb: true }],
  ['a long sum, odd, in parts', { m: 1, n: 1, k: 50021 }],
  ['a batch of long sums, in parts', { m: 1, n: 5, k: 50100, tb: true, batches: 2, plain: true }],
  ['matrices within a buffer', { m: 2, n: 6, k: 256, tb: true, offset: 4 }],
  ['matrices within a buffer, unaligned', { m: 2, n: 6, k: 256, tb: true, offset: 3 }],
];

describe.each(KINDS)('dot products as a %s computes them', (kind) => {
  it.each(cases)('%s', async (_, shape) => {
    await expectProduct(kind, shape, matmulDots, dotsPlans);
  });

  it('are the bias where there is nothing to sum, and let NaN through their bounds', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const of = recorderOfKind(recorder, kind);
    const empty = recorder.temporary('f32', 0);
    const [nothing, poisoned] = [0, 1].map(() => recorder.temporary('f32', 6));
    const bias = { operand: recorder.upload('f32', Float32Array.of(1, 2)), rowStride: 1, columnStride: 0 };
    const by = (k: number): MatmulCall['alternatives'] => {
      const plan = dotsPlans(of.capabilities, { m: 2, n: 3, k, bRows: false })[0];
      return (recorder, whole, shape) => matmulDots(recorder, whole, shape, plan);
    };
    const shared = { m: 2, n: 3 };
    matmul(of, {
      ...{ ...shared, k: 0, a: matrix(empty, 0), b: matrix(empty, 0, true), out: matrix(nothing!, 3), bias },
      alternatives: by(0),
    });
    const a = randomFloats(4, 200);
    a[150] = Number.NaN;
    matmul(of, {
      ...{ ...shared, k: 100, lo: 0, a: matrix(recorder.upload('f32', a), 100), out: matrix(poisoned!, 3) },
      ...{ b: matrix(recorder.upload('f32', randomFloats(5, 300)), 100, true), alternatives: by(100) },
    });
    await recorder.run();
    expect([...(await recorder.read(nothing!))]).toEqual([1, 1, 1, 2, 2, 2]);
    expect(Array.from(await recorder.read(poisoned!), Number.isNaN)).toEqual([false, false, false, true, true, true]);
    recorder.dispose();
  });
});

describe('the rule for dot products', () => {
  const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
  const swiftShader: Adapter = { kind: 'cpu', subgroupSize: 4 };
  const gpu: Adapter = { kind: 'gpu', subgroupSize: 32 };
  const idOf = (plan: DotsPlan | undefined) => plan && `${plan.variant.rows}${plan.swap ? ' swapped' : ''}`;

  it.each([
    // Few by few.
    [lavapipe, 2, 4, 1024, false, '2'],
    [lavapipe, 4, 4, 1000, false, '4'],
    [swiftShader, 2, 4, 1024, false, '2'],
    [swiftShader, 1, 3, 600, false, '1'],
    // A single row.
    [lavapipe, 1, 64, 1024, false, '1'],
    [lavapipe, 1, 1000, 1001, false, '1'],
    [lavapipe, 1, 1000, 1024, false, undefined],
    [swiftShader, 1, 64, 1024, false, undefined],
    [swiftShader, 1, 1000, 1001, false, undefined],
    // Others.
    [lavapipe, 2, 1000, 1024, false, undefined],
    [lavapipe, 4, 16, 2048, false, undefined],
    [swiftShader, 2, 5, 1000, false, undefined],
    // Few terms.
    [lavapipe, 1, 64, 256, false, undefined],
    [gpu, 1, 10, 84, false, undefined],
    [gpu, 1, 1000, 512, false, '1'],
    [gpu, 3, 1000, 512, false, '4'],
    // More rows, or columns that lie side by side.
    [lavapipe, 5, 1000, 1024, false, undefined],
    [gpu, 5, 1000, 1024, false, undefined],
    [lavapipe, 1, 64, 1024, true, undefined],
    // Few columns.
    [lavapipe, 60, 1, 1024, true, '1 swapped'],
    [gpu, 1000, 2, 1024, true, '2 swapped'],
  ] as const)('%j, %i x %i x %i, columns side by side %s: %s', (adapter, m, n, k, bRows, expected) => {
    expect(idOf(planDots(adapter, { m, n, k, bRows }))).toBe(expected);
  });

  it('leaves to the others what lanes cannot go along, and adapters that run on a CPU without subgroups', () => {
    expect(planDots(lavapipe, { m: 60, n: 1, k: 1024, aRows: false })).toBeUndefined();
    expect(planDots({ kind: 'cpu' }, { m: 1, n: 1000, k: 1024, bRows: false })).toBeUndefined();
  });

  it('covers every element with tiles', () => {
    const length = fc.integer({ min: 1, max: 300 });
    const terms = fc.integer({ min: 1, max: 1e6 });
    fc.assert(
      fc.property(fc.constantFrom(lavapipe, swiftShader, gpu), length, length, terms, (adapter, m, n, k) => {
        for (const { variant, tilesM, tilesN, swap, splits, kChunk } of dotsPlans(adapter, { m, n, k, bRows: false })) {
          const [rows, columns] = swap ? [n, m] : [m, n];
          expect(rows).toBeLessThanOrEqual(4);
          expect([tilesM, tilesN]).toEqual([Math.ceil(rows / variant.rows), Math.ceil(columns / variant.columns)]);
          expect(splits * kChunk).toBeGreaterThanOrEqual(k);
          expect((splits - 1) * kChunk).toBeLessThan(k);
        }
      }),
    );
  });
});
