import { describe, expect, it } from 'vitest';
import { readMatrixConfigs } from '../../src/gpu/experimental.ts';
import { matmulMatricesShader } from '../../src/kernels/generated/matrices.ts';
import { type ProductShape, planMatmul } from '../../src/kernels/matmul.ts';
import {
  type MatrixDevice,
  matrixCuts,
  matrixProducts,
  useSubgroupMatrices,
} from '../../src/kernels/matmulMatrices.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { variantId } from '../../src/kernels/tune/candidates.ts';
import { tuneSubject } from '../../src/kernels/tune/measure.ts';
import { adapterKey } from '../../src/kernels/tune/store.ts';
import { subjectOf } from '../../src/kernels/tune/subjects.ts';
import { product, tunedChoices } from '../../src/kernels/tune/variants.ts';
import { emulatingMatrices } from '../support/emulatedMatrices.ts';
import { testGpu } from '../support/gpu.ts';
import { config, deviceWith, F16, F32, ONE } from '../support/matrixDevices.ts';

describe('the choice of subgroup matrices', () => {
  const nvidia: Adapter = { kind: 'gpu', subgroupSize: 32, matrices: matrixProducts(deviceWith(...F16.slice(0, 3))) };
  const both: Adapter = { ...nvidia, matrices: matrixProducts(deviceWith(F16[0]!, F32[0]!)) };
  const floats: Adapter = { ...nvidia, matrices: matrixProducts(deviceWith(F32[0]!)) };
  const choose = (adapter: Adapter, m: number, n: number, k: number, half = true, more: Partial<ProductShape> = {}) => {
    const { variant, swap, splits } = planMatmul(adapter, { m, n, k, half, ...more });
    return `${variantId(variant)}${swap ? ' swapped' : ''} ${splits}`;
  };

  it.each([
    ['a large product', nvidia, 4096, 4096, 4096, 'm128x128f16 1'],
    ['a middle one, its sum split', nvidia, 1024, 1024, 1024, 'm128x128f16 4'],
    ['a small one', nvidia, 256, 256, 256, 'm64x64f16 1'],
    ['a long sum', nvidia, 64, 64, 4096, 'm64x64f16 16'],
    ['few rows', nvidia, 32, 4096, 1024, 'm32x128f16 4'],
    ['few columns', nvidia, 4096, 32, 1024, 'm128x32f16 4'],
    ['less than a matrix', nvidia, 15, 4096, 1024, 't4x64f16 4'],
    ['few terms', nvidia, 4096, 4096, 15, 't16x16f16 1'],
    ['no fixed size of subgroups', { ...nvidia, subgroupSize: undefined }, 4096, 4096, 4096, 't16x16f16 1'],
    ['a processor', { ...nvidia, kind: 'cpu', subgroupSize: 8 }, 4096, 4096, 4096, 'r32 1'],
    ['not asked for', { ...nvidia, matrices: undefined }, 4096, 4096, 4096, 't16x16f16 1'],
    ['half precision before float32', both, 4096, 4096, 4096, 'm128x128f16 1'],
    ['float32 where there is no other', floats, 4096, 4096, 4096, 'm128x128 1'],
  ] as [string, Adapter, number, number, number, string][])(
    'in half precision, %s',
    (_, adapter, m, n, k, expected) => {
      expect(choose(adapter, m, n, k)).toBe(expected);
    },
  );

  it('in float32 takes matrices of float32 alone', () => {
    expect(choose(nvidia, 4096, 4096, 4096, false)).toBe('t16x16 1');
    expect(choose(both, 4096, 4096, 4096, false)).toBe('m128x128 1');
  });

  it('leaves a result with gaps, which cannot be split, to the others', () => {
    expect(choose(nvidia, 4096, 4096, 4096, true, { contiguous: false })).toBe('t16x16f16 1');
  });

  const first = (device: MatrixDevice) => matrixCuts(device, { ...ONE, half: true })[0]?.variant.tunables;

  it('takes the largest matrices that divide a tile', () => {
    expect(first(deviceWith(...F16))).toMatchObject({ M: 16, N: 16, K: 16, MATRICES_M: 2, MATRICES_N: 2 });
    expect(first(deviceWith(F16[3]!, config('f16', 64, 64, 16)))).toMatchObject({ M: 8, N: 16, K: 16, MATRICES_M: 4 });
    expect(first(deviceWith(config('f16', 16, 16, 64)))).toBeUndefined();
    expect(first({ ...deviceWith(...F16), lanes: 0 })).toBeUndefined();
  });

  it('keeps to the invocations of the device', () => {
    const tiles = (maxInvocations: number, lanes = 32) =>
      matrixCuts({ configs: F16, lanes, maxInvocations }, { ...ONE, half: true }).map(({ variant }) =>
        variantId(variant),
      );
    expect(tiles(256)).toEqual(['m64x64f16', 'm32x128f16', 'm128x32f16', 'm64x128f16', 'm128x128f16']);
    expect(tiles(255)).toEqual(['m64x64f16', 'm32x128f16', 'm128x32f16', 'm64x128f16']);
    expect(tiles(256, 64)).toEqual(tiles(255));
    expect(tiles(127)).toEqual([]);
  });

  it('keeps to the workgroup memory that every device has, with whole matrices in a step', () => {
    for (const only of [...F16, ...F32]) {
      for (const { variant } of matrixCuts(deviceWith(only), { ...ONE, half: true })) {
        const { Component, M, N, K, K_STEP, PADDING, STORING, SUBGROUPS_M, SUBGROUPS_N } = variant.tunables;
        const tiles = variant.rows * (K_STEP + PADDING) + K_STEP * (variant.columns + PADDING);
        expect((Component === 'f16' ? 2 : 4) * tiles + 4 * STORING * M * N).toBeLessThanOrEqual(16384);
        expect([K_STEP % K, (SUBGROUPS_M * SUBGROUPS_N) % STORING]).toEqual([0, 0]);
      }
    }
  });

  it('covers every element with tiles', () => {
    for (const { variant, tilesM, tilesN } of matrixCuts(deviceWith(...F16), { m: 129, n: 64, k: 8, half: true })) {
      expect([tilesM, tilesN]).toEqual([Math.ceil(129 / variant.rows), Math.ceil(64 / variant.columns)]);
    }
  });
});

describe('tuning with subgroup matrices', () => {
  const shape: ProductShape = { m: 512, n: 512, k: 2048 };
  const matrices = matrixProducts(deviceWith(F16[0]!, F32[0]!));
  // Of no fixed size: the rule leaves it alone, a measurement may find it the fastest.
  const adapter: Adapter = { kind: 'gpu', matrices };
  const ids = (of: Adapter, half: boolean) =>
    product.candidates(of, { ...shape, half }).flatMap(({ id }) => (id.startsWith('m') ? [id] : []));

  it('has them among the candidates where the device has them, of half precision where that will do', () => {
    expect(ids({ kind: 'gpu' }, true)).toEqual([]);
    expect(ids(adapter, true)).toEqual(expect.arrayContaining(['m64x64f16', 'm64x64', 'm128x128f16', 'm128x128f16/1']));
    expect(ids(adapter, false)).toEqual(expect.arrayContaining(['m64x64', 'm32x128']));
    expect(ids(adapter, false).filter((id) => id.includes('f16'))).toEqual([]);
  });

  it('has the rule’s choice among them, and measures it first', () => {
    const fixed: Adapter = { ...adapter, subgroupSize: 32 };
    const key = product.key({ ...shape, half: true });
    const subject = subjectOf(key, fixed)!;
    expect(subject.candidates[0]).toBe(variantId(planMatmul(fixed, { ...shape, half: true }).variant));
    expect(subject.candidates[0]).toMatch(/^m.*f16$/);
    // Held to the looser bound of half precision, and to float32's.
    expect([subject.toleranceOf!('m64x64f16'), subject.toleranceOf!('m64x64')]).toEqual([2 ** -7, 1e-4]);
  });

  it('takes what a table names while the device has it', () => {
    const tuned = tunedChoices(new Map([[product.key({ ...shape, half: true }), 'm128x32f16']]));
    expect(planMatmul({ ...adapter, tuned }, { ...shape, half: true }).variant).toMatchObject({
      rows: 128,
      columns: 32,
    });
    expect(planMatmul({ kind: 'gpu', tuned }, { ...shape, half: true }).variant.kind).toBe('tiled');
  });

  it('keeps a table of its own, and leaves the others where they were', async () => {
    const { capabilities } = await testGpu();
    expect(adapterKey({ ...capabilities, matrices })).not.toBe(adapterKey(capabilities));
    expect(adapterKey(capabilities)).not.toContain('matri');
  });

  it('excludes them where their results are wrong', async () => {
    const gpu = await testGpu();
    const device = deviceWith(F32[0]!);
    const right = emulatingMatrices(matmulMatricesShader, 32);
    const wrong = { ...right, code: right.code.replace('b_first+j*N', 'b_first') };
    expect(wrong.code).not.toBe(right.code);
    const key = product.key({ m: 33, n: 40, k: 24 });
    const measured = async (shader: typeof right) => {
      gpu.capabilities.matrices = { ...matrixProducts(device), shader };
      try {
        const subject = subjectOf(key, gpu.capabilities)!;
        return await tuneSubject(gpu, { ...subject, candidates: [subject.candidates[0]!, 'm64x64'] }, { rounds: 1 });
      } finally {
        gpu.capabilities.matrices = undefined;
      }
    };
    expect((await measured(right)).excluded).toEqual([]);
    expect((await measured(wrong)).excluded.map(({ id }) => id)).toEqual(['m64x64']);
  });
});

describe('where the device has no subgroup matrices', () => {
  it('leaves products as they are', async () => {
    const gpu = await testGpu();
    if (readMatrixConfigs(gpu.device).length > 0) return;
    expect(useSubgroupMatrices(gpu)).toBe(false);
    expect(gpu.capabilities.matrices).toBeUndefined();
  });
});
