import { expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { quantizerLevels } from '../../src/kernels/fakeQuantize.ts';
import { quantizationError } from '../../src/kernels/quantizationError.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';

it.each([1, 7, 64, 4097, 10_000])('sums the squared errors of several steps over %i elements', async (n) => {
  const recorder = new DirectRecorder(await testGpu());
  const data = randomFloats(n, n, -2, 5);
  const steps = Float32Array.of(0.002, 0.011, 0.25, 4, 1e-6);
  for (const levels of [quantizerLevels(8, false, false), quantizerLevels(4, true, false)]) {
    const out = recorder.temporary('f32', steps.length);
    quantizationError(recorder, {
      x: recorder.upload('f32', data),
      steps: recorder.upload('f32', steps),
      out,
      ...levels,
    });
    await recorder.run();
    const expected = Array.from(steps, (s) =>
      data.reduce((sum, x) => {
        const level = Math.min(Math.max(x / s, levels.low), levels.high);
        return sum + (x - s * Math.round(level)) ** 2;
      }, 0),
    );
    expect(relativeError(await recorder.read(out), expected)).toBeLessThan(1e-5);
  }
  recorder.dispose();
});

it('is nothing where there is nothing', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const out = recorder.temporary('f32', 1);
  const x = recorder.upload('f32', Float32Array.of(0, 0.5, 1, -0.5));
  quantizationError(recorder, { x, steps: recorder.upload('f32', Float32Array.of(0.5)), out, low: -2, high: 2 });
  await recorder.run();
  expect(await recorder.read(out)).toEqual(Float32Array.of(0));
  recorder.dispose();
});
