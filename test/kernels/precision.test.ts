import { describe, expect, it } from 'vitest';
import type { Precision } from '../../src/gpu/capabilities.ts';
import { conv } from '../../src/kernels/conv.ts';
import { packDense } from '../../src/kernels/denseWeights.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { float16ToNumber, numberToFloat16 } from '../../src/kernels/float16.ts';
import type { Recorder } from '../../src/kernels/kernel.ts';
import { matmul, matrix } from '../../src/kernels/matmul.ts';
import { choosePrecision, withPrecision } from '../../src/kernels/precision.ts';
import { HIGHEST, LOWEST } from '../../src/kernels/reduceSplits.ts';
import { weightsOf } from '../../src/kernels/weightMatrix.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats } from '../support/numbers.ts';
import { conv as convReference } from '../support/reference/products.ts';
import { array64 } from '../support/reference/reference.ts';
import { convShapeBy } from '../support/validConv.ts';
import { randomWeights } from '../support/weightMatrices.ts';

describe('the choice of a precision', () => {
  it.each([
    ['gpu', true, undefined, 'f32', undefined],
    ['gpu', true, 'f32', 'f32', undefined],
    ['gpu', true, 'f16', 'f16', /the adapter has it/],
    ['gpu', false, 'f16', 'f32', /no half-precision arithmetic/],
    ['cpu', true, 'f16', 'f32', /more slowly/],
    ['cpu', false, 'f16', 'f32', /no half-precision arithmetic/],
  ] as const)('%s, shader-f16 %s, asked for %s: %s', (kind, f16, asked, precision, reason) => {
    const choice = choosePrecision({ kind, f16 }, asked);
    expect(choice.precision).toBe(precision);
    if (reason) expect(choice.reason).toMatch(reason);
    else expect(choice.reason).toBeUndefined();
  });
});

const HAS_HALF = (await testGpu()).capabilities.f16;
/** Half of the distance between a half-precision number and the next one, relative. */
const U = 2 ** -11;
const CHAIN = 4;

/**
 * What a sum of `terms` products may be off by, where the sum of their magnitudes is `magnitude` and every operand is a
 * half-precision number: a product goes through at most CHAIN roundings to half (its own, and those of the sums that it
 * is in; the first product is added to zero), each of which loses 2^-25 at most where the number is subnormal; then
 * through float32 sums.
 */
function bound(terms: number, magnitude: number): number {
  const half = (1 + U) ** CHAIN - 1;
  return (half + (1 + half) * (terms / CHAIN) * 2 ** -24) * magnitude + terms * CHAIN * 2 ** -25;
}

/** Operands are rounded to half too, each term by two factors. */
function roundedBound(terms: number, magnitude: number): number {
  return bound(terms, (1 + U) ** 2 * magnitude) + ((1 + U) ** 2 - 1) * magnitude;
}

const halves = (values: Float32Array<ArrayBuffer>) => values.map((value) => float16ToNumber(numberToFloat16(value)));

/** The same recorder as a GPU that was asked for a precision. */
function asGpu(recorder: DirectRecorder, precision: Precision): Recorder {
  const capabilities = withPrecision({ ...recorder.capabilities, kind: 'gpu' }, precision);
  return {
    capabilities,
    dispatch: (shader, call) => recorder.dispatch(shader, call),
    temporary: (dtype, elements, label) => recorder.temporary(dtype, elements, label),
  };
}

const inHalf = (recorder: DirectRecorder) => asGpu(recorder, 'f16');

/** Largest error through its bound; a NaN counts as infinite. */
function worst(actual: Float32Array, expected: Float64Array, bounds: Float64Array): number {
  expect(actual.length).toBe(expected.length);
  return Math.max(
    ...expected.map((value, i) => Math.abs(actual[i]! - value) / bounds[i]! || Number(actual[i] !== value)),
  );
}

async function multiply({ m, n, k, a, b, ta = false, tb = false }: Product, of = inHalf): Promise<Float32Array> {
  const recorder = new DirectRecorder(await testGpu());
  const out = recorder.temporary('f32', m * n);
  matmul(of(recorder), {
    ...{ m, n, k },
    a: matrix(recorder.upload('f32', a), ta ? m : k, ta),
    b: matrix(recorder.upload('f32', b), tb ? k : n, tb),
    out: matrix(out, n),
  });
  await recorder.run();
  const result = await recorder.read(out);
  recorder.dispose();
  return result;
}

interface Product {
  m: number;
  n: number;
  k: number;
  a: Float32Array<ArrayBuffer>;
  b: Float32Array<ArrayBuffer>;
  ta?: boolean;
  tb?: boolean;
}

/** In float64, with the sums of magnitudes. */
function exactly({ m, n, k, a, b, ta, tb }: Product) {
  const sums = new Float64Array(m * n);
  const magnitudes = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      for (let l = 0; l < k; l++) {
        const term = a[ta ? l * m + i : i * k + l]! * b[tb ? j * k + l : l * n + j]!;
        sums[i * n + j]! += term;
        magnitudes[i * n + j]! += Math.abs(term);
      }
    }
  }
  return { sums, magnitudes };
}

describe.skipIf(!HAS_HALF)('products in half precision', () => {
  const sizes = [
    { m: 1, n: 1, k: 1, ta: false, tb: false },
    { m: 37, n: 45, k: 51, ta: false, tb: false },
    { m: 100, n: 3, k: 70, ta: false, tb: true },
    { m: 5, n: 130, k: 64, ta: true, tb: false },
    { m: 70, n: 66, k: 33, ta: true, tb: true },
    { m: 2, n: 3, k: 2050, ta: false, tb: true },
    { m: 1, n: 10, k: 300, ta: false, tb: false },
  ];

  it.each(sizes)('$m x $n x $k, transposed $ta $tb', async (size) => {
    const { m, n, k } = size;
    const [a, b] = [randomFloats(1, m * k), randomFloats(2, k * n)];
    const exact = { ...size, a: halves(a), b: halves(b) };
    const ofHalves = exactly(exact);
    const bounds = ofHalves.magnitudes.map((magnitude) => bound(k, magnitude));
    expect(worst(await multiply(exact), ofHalves.sums, bounds), 'operands that are half-precision').toBeLessThan(1);
    const ofFloats = exactly({ ...size, a, b });
    const looser = ofFloats.magnitudes.map((magnitude) => roundedBound(k, magnitude));
    expect(worst(await multiply({ ...size, a, b }), ofFloats.sums, looser), 'rounded operands').toBeLessThan(1);
  });

  it('sums in float32: many small terms beside a large one all count', async () => {
    const k = 4096;
    const [a, b] = [new Float32Array(k).fill(0.25), new Float32Array(k).fill(1)];
    a[0] = 4096;
    // In half precision, 4096 + 4 · 0.25 is 4096, and 4096 + 0.25 too; only the chain that it is in loses its terms.
    const [sum] = await multiply({ m: 1, n: 1, k, a, b });
    expect(sum).toBeGreaterThanOrEqual(4096 + 0.25 * (k - CHAIN));
    expect(sum).toBeLessThanOrEqual(4096 + 0.25 * (k - 1));
  });

  it('costs about as much by its sums as by rounding the operands', async () => {
    const [m, n, k] = [48, 48, 256];
    const [a, b] = [randomFloats(1, m * k), randomFloats(2, k * n)];
    const exact = { m, n, k, a: halves(a), b: halves(b) };
    const [ofFloats, ofHalves, actual] = [exactly({ m, n, k, a, b }).sums, exactly(exact).sums, await multiply(exact)];
    const rms = (x: ArrayLike<number>, y: ArrayLike<number>) =>
      Math.sqrt(Array.from(x, (value, i) => (value - y[i]!) ** 2).reduce((sum, d) => sum + d, 0) / x.length);
    const ratio = rms(actual, ofHalves) / rms(ofHalves, ofFloats);
    expect(ratio).toBeGreaterThan(0.3);
    expect(ratio).toBeLessThan(2);
  });

  it('keeps a NaN and an infinity, each in its row alone', async () => {
    const [m, n, k] = [5, 7, 20];
    const [a, b] = [randomFloats(1, m * k), randomFloats(2, k * n, 0.5, 1)];
    a[k] = Number.NaN;
    a[2 * k] = Number.POSITIVE_INFINITY;
    const result = await multiply({ m, n, k, a, b });
    for (let row = 0; row < m; row++) {
      const values = [...result.subarray(row * n, (row + 1) * n)];
      if (row === 1) expect(values.every(Number.isNaN)).toBe(true);
      else if (row === 2) expect(values.every((value) => value === HIGHEST)).toBe(true);
      else expect(values.every(Number.isFinite)).toBe(true);
    }
  });

  // A result is held to the bounds of float32, as it is in every product.
  it('is infinite where a value, a product or a sum of four leaves the range, and right up to its end', async () => {
    const one = (a: number[], b: number[]) =>
      multiply({ m: 1, n: 1, k: a.length, a: Float32Array.from(a), b: Float32Array.from(b) });
    expect((await one([65504], [1]))[0]).toBe(65504);
    expect((await one([1e5], [0.5]))[0]).toBe(HIGHEST);
    expect((await one([300], [-300]))[0]).toBe(LOWEST);
    expect((await one([200, 200], [200, 200]))[0]).toBe(HIGHEST);
    // Other chains are added in float32.
    expect((await one([200, 0, 0, 0, 200], [200, 0, 0, 0, 200]))[0]).toBe(80_000);
  });
});

describe.skipIf(!HAS_HALF)('convolutions in half precision', () => {
  it.each(['f32', 'f16', 'int4'])('%s weights', async (format) => {
    const recorder = new DirectRecorder(await testGpu());
    const cases: { x: number[]; w: number[]; attributes: Record<string, number | number[]> }[] = [
      { x: [2, 8, 9, 7], w: [19, 8, 3, 3], attributes: { pads: [1, 1, 1, 1], strides: [2, 1] } },
      { x: [1, 12, 6, 6], w: [18, 4, 2, 2], attributes: { group: 3 } },
      { x: [1, 5, 7, 7], w: [11, 5, 3, 3], attributes: { dilations: [2, 2] } },
    ];
    const checks: (() => Promise<void>)[] = [];
    for (const { x: xShape, w: wShape, attributes } of cases) {
      const [rows, k] = [wShape[0]!, wShape[1]! * wShape[2]! * wShape[3]!];
      const weightsMatrix = randomWeights(format, rows, k, 4);
      const x = randomFloats(
        5,
        xShape.reduce((a, b) => a * b),
      );
      const sumsOf = (change: (value: number) => number) => {
        const inputs = [array64(xShape, x.map(change)), array64(wShape, weightsOf(weightsMatrix).map(change))];
        return convReference({ attributes, inputs, training: false })[0]!.data;
      };
      const { words, ...layout } = packDense(weightsMatrix);
      const expected = sumsOf((value) => value);
      const out = recorder.temporary('f32', expected.length);
      conv(inHalf(recorder), {
        x: recorder.upload('f32', x),
        weights:
          format === 'f32'
            ? recorder.upload('f32', weightsOf(weightsMatrix))
            : { ...layout, operand: recorder.upload('u32', words) },
        ...{ out, shape: convShapeBy(xShape, wShape, attributes) },
      });
      const bounds = sumsOf(Math.abs).map((magnitude) => roundedBound(k, magnitude));
      checks.push(async () => {
        expect(worst(await recorder.read(out), Float64Array.from(expected), Float64Array.from(bounds))).toBeLessThan(1);
      });
    }
    await recorder.run();
    for (const check of checks) await check();
    recorder.dispose();
  });
});

describe.skipIf(HAS_HALF)('where the adapter has no half precision', () => {
  it('computes in float32, to the same bits', async () => {
    const [m, n, k] = [9, 11, 40];
    const product = { m, n, k, a: randomFloats(1, m * k), b: randomFloats(2, k * n) };
    expect(await multiply(product)).toEqual(await multiply(product, (recorder) => asGpu(recorder, 'f32')));
  });
});
