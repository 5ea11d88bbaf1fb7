import { describe, expect, it } from 'vitest';
import { channelStatistics } from '../../src/kernels/batchNorm.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';

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

async function onGpu(x: Float32Array<ArrayBuffer>, n: number, c: number, plane: number) {
  const recorder = new DirectRecorder(await testGpu());
  const [mean, variance] = [recorder.temporary('f32', c), recorder.temporary('f32', c)];
  channelStatistics(recorder, { x: recorder.upload('f32', x), shape: { n, c, plane }, mean, variance });
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
    const actual = await onGpu(x, n, c, plane);
    expect(relativeError(actual.mean, expected.mean)).toBeLessThan(2e-6);
    expect(relativeError(actual.variance, expected.variance)).toBeLessThan(5e-6);
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
