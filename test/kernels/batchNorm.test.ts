import { describe, expect, it } from 'vitest';
import { batchNormBackward, channelStatistics } from '../../src/kernels/batchNorm.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';

/** Mean and biased variance per channel of [n, c, plane], in float64. */
function statistics(x: Float32Array, n: number, c: number, plane: number) {
  const [mean, variance] = [new Float64Array(c), new Float64Array(c)];
  for (let channel = 0; channel < c; channel++) {
    const values = Array.from({ length: n * plane }, (_, i) => {
      return x[(Math.floor(i / plane) * c + channel) * plane + (i % plane)]!;
    });
    mean[channel] = values.reduce((sum, value) => sum + value, 0) / values.length;
    variance[channel] = values.reduce((sum, value) => sum + (value - mean[channel]!) ** 2, 0) / values.length;
  }
  return { mean, variance };
}

async function onGpu(x: Float32Array<ArrayBuffer>, n: number, c: number, plane: number, kind: 'cpu' | 'gpu' = 'cpu') {
  const recorder = new DirectRecorder(await testGpu());
  const [mean, variance] = [recorder.temporary('f32', c), recorder.temporary('f32', c)];
  channelStatistics(recorderOfKind(recorder, kind), {
    x: recorder.upload('f32', x),
    shape: { n, c, plane },
    mean,
    variance,
  });
  await recorder.run();
  const result = { mean: await recorder.read(mean), variance: await recorder.read(variance) };
  recorder.dispose();
  return result;
}

describe('channelStatistics', () => {
  // Vector and scalar planes, planes smaller and larger than a workgroup, one element in all, several splits.
  it.each([
    [1, 1, 1],
    [3, 5, 1],
    [700, 3, 1],
    [2, 3, 4],
    [7, 5, 49],
    [5, 130, 64],
    [3, 2, 1021],
    [9, 2, 16384],
  ])('of [%i, %i, %i]', async (n, c, plane) => {
    const x = randomFloats(n + c + plane, n * c * plane, -1, 3);
    const expected = statistics(x, n, c, plane);
    for (const kind of KINDS) {
      const actual = await onGpu(x, n, c, plane, kind);
      expect(relativeError(actual.mean, expected.mean), kind).toBeLessThan(2e-6);
      expect(relativeError(actual.variance, expected.variance), kind).toBeLessThan(5e-6);
    }
  });

  it('keeps the digits of a variance far below the square of the mean', async () => {
    const [n, c, plane] = [16, 3, 400];
    const x = randomFloats(1, n * c * plane).map((value) => 1000 + value);
    const expected = statistics(x, n, c, plane);
    const actual = await onGpu(x, n, c, plane);
    // The naive difference of squares would be wrong in the first digit: 1000² has an ulp of 1/16.
    expect(relativeError(actual.variance, expected.variance)).toBeLessThan(1e-4);
  });

  it('is not misled by an outlier that comes first', async () => {
    const [n, c, plane] = [8, 2, 300];
    const x = randomFloats(2, n * c * plane);
    for (let channel = 0; channel < c; channel++) x[channel * plane] = 500;
    const expected = statistics(x, n, c, plane);
    const actual = await onGpu(x, n, c, plane);
    expect(relativeError(actual.mean, expected.mean)).toBeLessThan(1e-4);
    expect(relativeError(actual.variance, expected.variance)).toBeLessThan(1e-5);
  });
});

describe('batchNormBackward', () => {
  // Against central differences: test/engine/ops/norm.test.ts. Here the variants for GPUs, on more than one split.
  it.each(KINDS)('of a %s', async (kind) => {
    const [n, c, plane, epsilon] = [40, 3, 36, 1e-3];
    const elements = n * c * plane;
    const [x, dy, scale] = [randomFloats(3, elements), randomFloats(4, elements), randomFloats(5, c, 0.5, 2)];
    const { mean, variance } = statistics(x, n, c, plane);
    const recorder = new DirectRecorder(await testGpu());
    const upload = (data: ArrayLike<number>) => recorder.upload('f32', Float32Array.from(data));
    const [dx, dscale, dshift] = [elements, c, c].map((length) => recorder.temporary('f32', length));
    batchNormBackward(recorderOfKind(recorder, kind), {
      ...{ dy: upload(dy), x: upload(x), scale: upload(scale), mean: upload(mean), variance: upload(variance) },
      ...{ shape: { n, c, plane }, epsilon, ofBatch: true, dx, dscale, dshift },
    });
    await recorder.run();
    const channelOf = (i: number) => Math.floor(i / plane) % c;
    const s = variance.map((value) => 1 / Math.sqrt(value + epsilon));
    const [sums, products] = [new Float64Array(c), new Float64Array(c)];
    dy.forEach((g, i) => {
      const channel = channelOf(i);
      sums[channel]! += g;
      products[channel]! += g * (x[i]! - mean[channel]!) * s[channel]!;
    });
    const expected = Float64Array.from(dy, (g, i) => {
      const k = channelOf(i);
      const m = n * plane;
      return scale[k]! * s[k]! * (g - sums[k]! / m - ((x[i]! - mean[k]!) * s[k]! * products[k]!) / m);
    });
    expect(relativeError(await recorder.read(dx!), expected)).toBeLessThan(1e-5);
    expect(relativeError(await recorder.read(dscale!), products)).toBeLessThan(1e-5);
    expect(relativeError(await recorder.read(dshift!), sums)).toBeLessThan(1e-5);
    recorder.dispose();
  });
});
