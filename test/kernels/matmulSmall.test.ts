import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { matmul, matrix } from '../../src/kernels/matmul.ts';
import { matmulSmall, planSmall, smallPlans } from '../../src/kernels/matmulSmall.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { expectProduct, type ProductCase } from '../support/expectProduct.ts';
import { testGpu } from '../support/gpu.ts';

const cases: [name: string, ProductCase][] = [
  ['4 x 4', { m: 4, n: 4, k: 4, batches: 100 }],
  ['8 x 8, plain', { m: 8, n: 8, k: 8, batches: 33, plain: true }],
  ['5 x 5', { m: 5, n: 5, k: 5, batches: 77 }],
  ['7 x 3, many terms', { m: 7, n: 3, k: 61, batches: 20, plain: true }],
  ['columns and rows', { m: 3, n: 1, k: 3, batches: 200 }],
  ['fewer terms than four', { m: 6, n: 6, k: 3, batches: 9, plain: true }],
  ['single elements', { m: 1, n: 1, k: 1, batches: 130 }],
  ['twice four terms and three', { m: 4, n: 4, k: 11, batches: 10, plain: true }],
  ['three times four terms', { m: 8, n: 4, k: 12, batches: 10, plain: true }],
  ['more than one tile each way', { m: 13, n: 18, k: 9, batches: 5 }],
  ['rows transposed', { m: 5, n: 8, k: 6, batches: 10, ta: true }],
  ['columns transposed', { m: 5, n: 8, k: 8, batches: 10, tb: true, plain: true }],
  ['both transposed', { m: 8, n: 7, k: 4, batches: 10, ta: true, tb: true, plain: true }],
  ['whole tiles of five and of seven', { m: 15, n: 14, k: 5, batches: 3, plain: true }],
  ['a long column', { m: 4101, n: 1, k: 3 }],
  ['a long row, and more than a workgroup of many lanes', { m: 1, n: 33001, k: 2, plain: true }],
  ['matrices within a buffer', { m: 8, n: 8, k: 8, batches: 10, offset: 4, plain: true }],
  ['matrices within a buffer, unaligned', { m: 8, n: 8, k: 8, batches: 10, offset: 3, plain: true }],
];

describe('products of small matrices', () => {
  it.each(cases)('%s', async (_, shape) => {
    await expectProduct('cpu', shape, matmulSmall, smallPlans);
  });

  it('are the bias where there is nothing to sum, and let NaN through their bounds', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const bias = { operand: recorder.upload('f32', Float32Array.of(1, 2)), rowStride: 1, columnStride: 0 };
    const by = (k: number, data: number[]) => {
      const out = recorder.temporary('f32', 12);
      const operand = recorder.upload('f32', Float32Array.from(data));
      matmul(recorder, {
        ...{ m: 2, n: 3, k, batches: 2, lo: 0, bias, out: { ...matrix(out, 3), batchStride: 6 } },
        a: { ...matrix(operand, k), batchStride: 2 * k },
        b: { ...matrix(operand, 3), batchStride: 0 },
        alternatives: (of, whole, shape) => matmulSmall(of, whole, shape, smallPlans(of.capabilities, shape)[0]),
      });
      return out;
    };
    const [nothing, poisoned] = [by(0, [0]), by(1, [1, 1, Number.NaN, 1])];
    await recorder.run();
    expect([...(await recorder.read(nothing))]).toEqual([1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]);
    // b is 1, 1, NaN; a is 1, 1 and then NaN, 1.
    const nan = Array.from(await recorder.read(poisoned), Number.isNaN);
    expect(nan).toEqual([false, false, true, false, false, true, true, true, true, false, false, true]);
    recorder.dispose();
  });
});

describe('the rule for small matrices', () => {
  const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
  const swiftshader: Adapter = { kind: 'cpu', subgroupSize: 4 };
  const gpu: Adapter = { kind: 'gpu', subgroupSize: 32 };

  it.each([
    [8, 8, 8, 1000, true, true, true],
    [1, 1, 64, 32, true, true, true],
    // Matrices that would leave most of a tile by subgroups, or by quads, empty.
    [6, 6, 64, 100, true, true, true],
    [17, 17, 64, 40, false, true, false],
    [1, 14, 64, 100, false, true, false],
    // Those that fill it, unless of few terms.
    [10, 10, 64, 100, false, false, false],
    [33, 33, 64, 64, false, false, false],
    [16, 16, 64, 100, false, false, false],
    [1, 64, 64, 100, false, false, false],
    [10, 10, 16, 100, true, false, false],
    [8, 8, 33, 100, false, true, true],
    // Long sums, few matrices.
    [6, 6, 65, 1000, true, true, false],
    [6, 6, 2049, 1000, false, false, false],
    [8, 8, 8, 31, false, false, false],
    // A single long matrix of few terms.
    [100000, 1, 16, 1, true, true, false],
    [1, 100000, 17, 1, false, false, false],
    [4, 10000, 16, 1, false, true, false],
    [4, 10000, 7, 1, true, true, false],
    [386, 8, 7, 64, true, true, false],
    [8, 2000, 7, 1, false, false, false],
    [10000, 8, 8, 1, false, true, false],
    [10000, 8, 9, 1, false, false, false],
    [100, 1, 16, 1, false, false, false],
  ] as const)('%i x %i, %i terms, %i of them: %s, %s, %s', (m, n, k, batches, ...expected) => {
    const isChosen = [lavapipe, swiftshader, gpu].map(
      (adapter) => planSmall(adapter, { m, n, k, batches }) !== undefined,
    );
    expect(isChosen).toEqual(expected);
  });

  it('takes the larger tile on a processor, and the smaller one, of which there are more, on a GPU', () => {
    const shape = { m: 8, n: 8, k: 8, batches: 100 };
    expect(planSmall(lavapipe, shape)).toMatchObject({ tilesM: 1, tilesN: 1 });
    expect(planSmall(gpu, shape)).toMatchObject({ tilesM: 2, tilesN: 2 });
  });
});
