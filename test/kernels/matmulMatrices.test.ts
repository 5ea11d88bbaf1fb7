import { beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { matmulMatricesShader } from '../../src/kernels/generated/matrices.ts';
import type { Recorder } from '../../src/kernels/kernel.ts';
import { type MatmulCall, matmul, matrix, type ProductShape, planMatmul } from '../../src/kernels/matmul.ts';
import { type MatrixDevice, matrixCuts, matrixProducts } from '../../src/kernels/matmulMatrices.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { specialise } from '../../src/kernels/specialise.ts';
import { product, type tunedChoices } from '../../src/kernels/tune/variants.ts';
import { emulatingMatrices } from '../support/emulatedMatrices.ts';
import { testGpu } from '../support/gpu.ts';
import { deviceWith, F16, F32, ONE } from '../support/matrixDevices.ts';
import { nullGpu } from '../support/nullGpu.ts';
import { randomFloats } from '../support/numbers.ts';
import { findRaces } from '../support/races.ts';
import { matMul, transpose } from '../support/reference/products.ts';
import { type Array64, array64 } from '../support/reference/reference.ts';

describe('subgroup matrices, as the null backend compiles them', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await nullGpu();
  });

  it.for([...F16, ...F32])('every tile of $component, $m x $n x $k', async (only, { skip }) => {
    const hasMatrices = gpu.device.features.has('chromium-experimental-subgroup-matrix' as GPUFeatureName);
    if (!hasMatrices) skip('the null backend has no subgroup matrices');
    let compiled = 0;
    for (const lanes of [16, 32, 64]) {
      const { maxInvocations } = gpu.capabilities;
      for (const { variant } of matrixCuts({ configs: [only], lanes, maxInvocations }, { ...ONE, half: true })) {
        const { SUBGROUPS_M, SUBGROUPS_N } = variant.tunables;
        // Workgroups must be whole numbers of the largest subgroups, which have 128 lanes here.
        if ((SUBGROUPS_M * SUBGROUPS_N * lanes) % 128 !== 0) continue;
        await gpu.pipelines.compile(specialise(matmulMatricesShader, variant.tunables));
        compiled++;
      }
    }
    gpu.throwIfLost();
    // The widest tile alone, all five, and all but the widest.
    expect(compiled).toBe(1 + 5 + 4);
  });
});

/** The recorder of a GPU with these matrices, which computes them by ordinary means. */
function emulating(recorder: DirectRecorder, device: MatrixDevice, half: boolean, options: Emulation = {}): Recorder {
  const { lanes = device.lanes, tuned } = options;
  const products = matrixProducts(device);
  const matrices = { ...products, shader: emulatingMatrices(matmulMatricesShader, lanes) };
  const precision = half ? ('f16' as const) : undefined;
  return {
    capabilities: { ...recorder.capabilities, kind: 'gpu', subgroupSize: 32, precision, matrices, tuned },
    dispatch: (shader, call) => recorder.dispatch(shader, call),
    temporary: (dtype, elements, label) => recorder.temporary(dtype, elements, label),
  };
}

interface Emulation {
  /** Of a subgroup, where it has less than the most. */
  lanes?: number;
  tuned?: ReturnType<typeof tunedChoices>;
}

/** A choice of this variant, whatever the shape. */
const always = (id: string): ReturnType<typeof tunedChoices> => ({
  choose<Plan>(kernel: string, adapter: Adapter, shape: object) {
    if (kernel !== 'product') return undefined;
    const found = product.candidates(adapter, shape as ProductShape).find((candidate) => candidate.id === id);
    if (!found) throw new Error(`There is no variant ${id}`);
    return found.value as Plan;
  },
});

interface Case {
  m: number;
  n: number;
  k: number;
  ta?: boolean;
  tb?: boolean;
  batches?: number;
  /** Strides of the bias, rows first; none without. */
  bias?: [number, number];
}

/** 0.5·a·b + 2·bias within [lo, hi], and the largest error through what rounding may come to. */
async function worstOf(
  { m, n, k, ta = false, tb = false, batches = 1, bias }: Case,
  component: 'f16' | 'f32',
  recorderOf: (recorder: DirectRecorder) => Recorder,
  [lo, hi] = [-1.5, 2],
): Promise<number> {
  const recorder = new DirectRecorder(await testGpu());
  const [a, b] = [randomFloats(1, batches * m * k), randomFloats(2, batches * k * n)];
  const added = randomFloats(3, Math.max(m, n));
  const out = recorder.temporary('f32', batches * m * n);
  const call: MatmulCall = {
    ...{ m, n, k, batches, alpha: 0.5, beta: 2, lo, hi },
    a: { ...matrix(recorder.upload('f32', a), ta ? m : k, ta), batchStride: m * k },
    b: { ...matrix(recorder.upload('f32', b), tb ? k : n, tb), batchStride: k * n },
    out: { ...matrix(out, n), batchStride: m * n },
    ...(bias && { bias: { operand: recorder.upload('f32', added), rowStride: bias[0], columnStride: bias[1] } }),
  };
  matmul(recorderOf(recorder), call);
  await recorder.run();
  const actual = await recorder.read(out);
  recorder.dispose();
  let worst = 0;
  for (let batch = 0; batch < batches; batch++) {
    const part = (all: Float32Array, size: number) => all.subarray(batch * size, (batch + 1) * size);
    const sumsOf = (change: (value: number) => number) => {
      const [left, right] = [part(a, m * k).map(change), part(b, k * n).map(change)];
      return matMul(oriented(left, m, k, ta), oriented(right, k, n, tb)).data;
    };
    const [sums, magnitudes] = [sumsOf((value) => value), sumsOf(Math.abs)];
    sums.forEach((sum, i) => {
      const [row, column] = [Math.floor(i / n), i % n];
      const more = bias ? 2 * added[row * bias[0] + column * bias[1]]! : 0;
      const expected = Math.min(hi, Math.max(lo, 0.5 * sum + more));
      const bound = 0.5 * sumBound(k, magnitudes[i]!, component) + 2 ** -22 * (magnitudes[i]! + Math.abs(more));
      const error = Math.abs(actual[batch * m * n + i]! - expected);
      worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error / bound);
    });
  }
  return worst;
}

function oriented(values: Float32Array, rows: number, columns: number, isTransposed: boolean): Array64 {
  return isTransposed ? transpose(array64([columns, rows], values)) : array64([rows, columns], values);
}

/**
 * What a sum of `terms` products may be off by (docs/precision.md). Both operands are rounded to half, relative by 2^-11
 * or, below 2^-14, by 2^-25 (of factors up to 1); their products are float32 numbers, the sums are rounded to float32.
 */
function sumBound(terms: number, magnitude: number, component: 'f16' | 'f32'): number {
  const rounded = component === 'f16' ? ((1 + 2 ** -11) ** 2 - 1) * magnitude + terms * 2 ** -23.9 : 0;
  return rounded + (terms + 8) * 2 ** -24 * (magnitude + rounded);
}

const HAS_HALF = (await testGpu()).capabilities.f16;
const components = HAS_HALF ? (['f16', 'f32'] as const) : (['f32'] as const);

describe.each(components)('products of %s by subgroup matrices, emulated', (component) => {
  const half = component === 'f16';
  const [whole, oblong] = half ? [F16[0]!, F16[2]!] : [F32[0]!, F32[1]!];
  const suffix = half ? 'f16' : '';

  const cases: Case[] = [
    { m: 1, n: 1, k: 1 },
    { m: 37, n: 45, k: 51 },
    { m: 100, n: 3, k: 70, tb: true, bias: [0, 1] },
    { m: 5, n: 130, k: 64, ta: true, bias: [1, 0] },
    { m: 70, n: 66, k: 33, ta: true, tb: true, bias: [0, 1] },
    { m: 65, n: 64, k: 32 },
    { m: 9, n: 20, k: 17, batches: 3, bias: [0, 1] },
    { m: 2, n: 3, k: 700, tb: true, bias: [0, 1] },
    { m: 3, n: 2, k: 520, batches: 2 },
  ];

  it.each(cases)('%j', async (shape) => {
    const tuned = always(`m64x64${suffix}`);
    expect(
      await worstOf(shape, component, (recorder) => emulating(recorder, deviceWith(whole), half, { tuned })),
    ).toBeLessThan(1);
  });

  it.each(['m32x128', 'm128x32', 'm64x128', 'm128x128'])(
    'in tiles of %s, of matrices with three lengths',
    async (tile) => {
      const tuned = always(`${tile}${suffix}`);
      const shape: Case = { m: 131, n: 133, k: 35, tb: true, bias: [0, 1] };
      expect(
        await worstOf(shape, component, (recorder) => emulating(recorder, deviceWith(oblong), half, { tuned })),
      ).toBeLessThan(1);
    },
  );

  it('where subgroups are smaller than the largest', async () => {
    const options = { lanes: 8, tuned: always(`m64x64${suffix}`) };
    const shape: Case = { m: 37, n: 45, k: 51, ta: true };
    expect(
      await worstOf(shape, component, (recorder) => emulating(recorder, deviceWith(whole), half, options)),
    ).toBeLessThan(1);
  });

  it('split sums are those of as many parts', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const { capabilities } = emulating(recorder, deviceWith(whole), half);
    expect(planMatmul(capabilities, { m: 20, n: 20, k: 1100, half })).toMatchObject({
      variant: { kind: 'matrices' },
      splits: 4,
    });
    expect(
      await worstOf({ m: 20, n: 20, k: 1100, bias: [0, 1] }, component, (direct) =>
        emulating(direct, deviceWith(whole), half),
      ),
    ).toBeLessThan(1);
    recorder.dispose();
  });

  it('is the bias where there is nothing to sum, and lets a NaN through its bounds, in its row alone', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const [m, n, k] = [5, 7, 20];
    const values = randomFloats(4, m * k);
    values[k] = Number.NaN;
    const [out, plain] = [recorder.temporary('f32', m * n), recorder.temporary('f32', 6)];
    const emulated = emulating(recorder, deviceWith(whole), half, { tuned: always(`m64x64${suffix}`) });
    const [a, b] = [recorder.upload('f32', values), recorder.upload('f32', randomFloats(5, k * n))];
    matmul(emulated, { ...{ m, n, k, lo: 0, a: matrix(a, k), b: matrix(b, n), out: matrix(out, n) } });
    const bias = { operand: recorder.upload('f32', Float32Array.of(1, 2)), rowStride: 1, columnStride: 0 };
    matmul(emulated, { ...{ m: 2, n: 3, k: 0, a: matrix(a, 0), b: matrix(b, 3), out: matrix(plain, 3), bias } });
    await recorder.run();
    const areNaN = Array.from(await recorder.read(out), Number.isNaN);
    expect(areNaN).toEqual(Array.from({ length: m * n }, (_, i) => i >= n && i < 2 * n));
    expect([...(await recorder.read(plain))]).toEqual([1, 1, 1, 2, 2, 2]);
    recorder.dispose();
  });
});

describe.each(components)('the end of a sum of %s by subgroup matrices', (component) => {
  it('takes nothing of what lies behind it', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const [m, n, k] = [3, 5, 17];
    const half = component === 'f16';
    const tuned = always(half ? 'm64x64f16' : 'm64x64');
    const [a, b] = [randomFloats(6, 2 * m * k), randomFloats(7, 2 * k * n)];
    // Of the second product, all.
    a.fill(Number.NaN, m * k);
    b.fill(Number.NaN, k * n);
    const out = recorder.temporary('f32', 2 * m * n);
    matmul(emulating(recorder, deviceWith(half ? F16[0]! : F32[0]!), half, { tuned }), {
      ...{ m, n, k, batches: 2 },
      a: { ...matrix(recorder.upload('f32', a), k), batchStride: m * k },
      b: { ...matrix(recorder.upload('f32', b), n), batchStride: k * n },
      out: { ...matrix(out, n), batchStride: m * n },
    });
    await recorder.run();
    const areNaN = Array.from(await recorder.read(out), Number.isNaN);
    expect(areNaN).toEqual(Array.from({ length: 2 * m * n }, (_, i) => i >= m * n));
    recorder.dispose();
  });
});

describe('workgroup memory of subgroup matrices', () => {
  const shader = emulatingMatrices(matmulMatricesShader, 2);
  const tunables = {
    ...{ LANES: 2, M: 2, N: 2, K: 2, SUBGROUPS_M: 2, SUBGROUPS_N: 2, MATRICES_M: 1, MATRICES_N: 2 },
    ...{ K_STEP: 4, PADDING: 1, STORING: 2 },
  };

  it('has no races', () => expect(findRaces(shader, { tunables })).toEqual([]));

  it.each([0, 1, 2, 3])('races without its barrier %i', (missing) => {
    let count = 0;
    const mutate = (code: string) =>
      code.replaceAll('workgroupBarrier();', (barrier) => (count++ === missing ? '' : barrier));
    expect(findRaces(shader, { tunables, mutate }).length).toBeGreaterThan(0);
    expect(count).toBe(4);
  });
});
