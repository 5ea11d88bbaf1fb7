import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { type Unary, unary, unaryBackward } from '../../src/kernels/unary.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';

// Definitions from the ONNX operator reference, in float64.
const definitions: Record<Unary, (x: number, a: number, b: number) => number> = {
  relu: (x) => Math.max(x, 0),
  leakyRelu: (x, a) => (x >= 0 ? x : a * x),
  clip: (x, a, b) => Math.min(Math.max(x, a), b),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: (x) => Math.tanh(x),
  hardSwish: (x) => x * Math.max(0, Math.min(1, x / 6 + 0.5)),
};
const usesResult: readonly Unary[] = ['sigmoid', 'tanh', 'relu'];

describe.each(Object.keys(definitions) as Unary[])('%s', (f) => {
  const a = f === 'leakyRelu' ? 0.1 : -1.5;
  const b = 2;
  // The last size needs a grid that folds into two dimensions; one function of them all is enough for that.
  it.each([1, 63, 64, 1000, ...(f === 'relu' ? [64 * 65535 + 3] : [])])('computes %i values', async (n) => {
    const gpu = await testGpu();
    const recorder = new DirectRecorder(gpu);
    const data = randomFloats(n, n, -6, 6);
    const out = recorder.temporary('f32', n);
    unary(recorder, { f, x: recorder.upload('f32', data), out, a, b });
    await recorder.run();
    const expected = Float64Array.from(data, (x) => definitions[f](x, a, b));
    expect(relativeError(await recorder.read(out), expected)).toBeLessThan(2e-6);
    recorder.dispose();
  });

  it('keeps extreme values finite and NaN a NaN', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const data = Float32Array.of(-200, 200, -88, 88, 0);
    const out = recorder.temporary('f32', data.length);
    unary(recorder, { f, x: recorder.upload('f32', data), out, a, b });
    await recorder.run();
    const expected = Float64Array.from(data, (x) => definitions[f](x, a, b));
    expect(relativeError(await recorder.read(out), expected)).toBeLessThan(2e-6);
    recorder.dispose();
  });

  it('has the derivative of central differences', async () => {
    const recorder = new DirectRecorder(await testGpu());
    // Away from the kinks, where no derivative exists.
    const data = randomFloats(7, 500, -5, 5).filter((x) => [0, a, b, -3, 3].every((kink) => Math.abs(x - kink) > 0.01));
    const dy = randomFloats(8, data.length);
    const value = (x: number) => definitions[f](x, a, b);
    const v = usesResult.includes(f) ? Float32Array.from(data, value) : data;
    const dx = recorder.temporary('f32', data.length);
    unaryBackward(recorder, { f, v: recorder.upload('f32', v), dy: recorder.upload('f32', dy), dx, a, b });
    await recorder.run();
    const h = 1e-5;
    const expected = Float64Array.from(data, (x, i) => (dy[i] * (value(x + h) - value(x - h))) / (2 * h));
    expect(relativeError(await recorder.read(dx), expected)).toBeLessThan(1e-5);
    recorder.dispose();
  });
});
