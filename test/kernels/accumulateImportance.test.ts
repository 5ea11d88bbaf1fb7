import { describe, expect, it } from 'vitest';
import { accumulateImportance, finishImportance, type ImportanceKind } from '../../src/kernels/accumulateImportance.ts';
import { applyMask } from '../../src/kernels/applyMask.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { testGpu } from '../support/gpu.ts';
import { random, randomFloats, relativeError } from '../support/numbers.ts';

const n = 192;
const weights = randomFloats(1, n);
const gradients = [2, 3, 4].map((seed) => randomFloats(seed, n));

/** What each kind is after three steps with the weight 1/3, in float64. */
const definitions: Record<ImportanceKind, (w: number, g: number[]) => number> = {
  magnitude: (w) => Math.abs(w),
  gradient: (_, g) => g.reduce((sum, value) => sum + Math.abs(value), 0) / 3,
  taylor: (w, g) => g.reduce((sum, value) => sum + Math.abs(w * value), 0) / 3,
  fisher: (w, g) => (w * w * g.reduce((sum, value) => sum + value * value, 0)) / 3 / 2,
};

describe.each(Object.keys(definitions) as ImportanceKind[])('importance by %s', (kind) => {
  it('is the mean over the steps', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const w = recorder.upload('f32', weights);
    const scores = recorder.upload('f32', new Float32Array(n));
    const weight = kind === 'fisher' || kind === 'magnitude' ? 1 : 1 / 3;
    for (const gradient of gradients) {
      const g = kind === 'magnitude' ? undefined : recorder.upload('f32', gradient);
      accumulateImportance(recorder, { kind, weights: w, gradients: g, scores, weight });
    }
    if (kind === 'fisher') finishImportance(recorder, { weights: w, scores, weight: 1 / 3 });
    await recorder.run();
    const expected = Array.from(weights, (value, i) =>
      definitions[kind](
        value,
        gradients.map((gradient) => gradient[i]),
      ),
    );
    expect(relativeError(await recorder.read(scores), expected)).toBeLessThan(1e-6);
    recorder.dispose();
  });

  it('refuses what does not fit', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const f = (length: number) => recorder.temporary('f32', length);
    const call = (scores: number, w: number, g?: number) => () =>
      accumulateImportance(recorder, { kind, scores: f(scores), weights: f(w), gradients: g ? f(g) : undefined });
    expect(call(100, 128, 128)).toThrow('no whole segments');
    expect(call(128, 64, 128)).toThrow('weights');
    expect(call(128, 128, 64)).toThrow('gradients');
    if (kind !== 'magnitude') expect(call(128, 128)).toThrow('needs gradients');
    recorder.dispose();
  });
});

it('applies a mask, whatever lies below it', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const next = random(5);
  const bits = Uint32Array.from({ length: n / 32 }, () => next(0, 2 ** 32));
  const kept = (i: number) => ((bits[i >> 5] >>> (i & 31)) & 1) === 1;
  const data = weights.map((w, i) => (i % 3 || kept(i) ? w : i % 2 ? Number.NaN : Number.NEGATIVE_INFINITY));
  const values = recorder.upload('f32', data);
  applyMask(recorder, { mask: recorder.upload('u32', bits), values });
  await recorder.run();
  const got = await recorder.read(values);
  expect(got.every((value, i) => Object.is(value, kept(i) ? data[i] : 0))).toBe(true);
  recorder.dispose();
});
