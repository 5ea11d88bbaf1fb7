import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { softmax, softmaxBackward, softmaxLanes } from '../../src/kernels/softmax.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';

async function run(data: Float32Array<ArrayBuffer>, length: number, log: boolean, inner = 1) {
  const recorder = new DirectRecorder(await testGpu());
  const y = recorder.temporary('f32', data.length);
  const lines = { lines: data.length / length, length, inner };
  softmax(recorder, { x: recorder.upload('f32', data), y, log, lines });
  await recorder.run();
  const result = await recorder.read(y);
  recorder.dispose();
  return [...result];
}

describe('softmaxLanes', () => {
  it('shares long lines, unless there are lines enough', () => {
    expect(softmaxLanes({ lines: 64, length: 10 }, { kind: 'gpu' })).toBe(1);
    expect(softmaxLanes({ lines: 64, length: 1000 }, { kind: 'gpu' })).toBe(64);
    expect(softmaxLanes({ lines: 100_000, length: 1000 }, { kind: 'gpu' })).toBe(1);
    expect(softmaxLanes({ lines: 64, length: 1000 }, { kind: 'cpu' })).toBe(1);
    expect(softmaxLanes({ lines: 1, length: 1000 }, { kind: 'cpu' })).toBe(64);
  });
});

describe('softmax', () => {
  it('overflows nowhere', async () => {
    expect(await run(Float32Array.of(3e38, -3e38, 3e38, -3e38, -3.4e38, -3.4e38), 2, false)).toEqual([
      1, 0, 1, 0, 0.5, 0.5,
    ]);
    const logs = await run(Float32Array.of(1000, 0, -1000, -2000), 2, true);
    expect(logs).toEqual([0, -1000, 0, -1000]);
  });

  it('gives an element of minus infinity no share', async () => {
    const data = Float32Array.of(-Infinity, 0, 0);
    expect(await run(data, 3, false)).toEqual([0, 0.5, 0.5]);
    const logs = await run(data, 3, true);
    expect(logs[0]).toBe(-Infinity);
    expect(relativeError(logs.slice(1), [-Math.LN2, -Math.LN2])).toBeLessThan(1e-6);
  });

  it.each([3, 300])('keeps a NaN within its line of %i', async (length) => {
    const data = randomFloats(1, 2 * length);
    data[1] = Number.NaN;
    const y = await run(data, length, false);
    expect(y.slice(0, length).every(Number.isNaN)).toBe(true);
    expect(Math.abs(y.slice(length).reduce((sum, value) => sum + value, 0) - 1)).toBeLessThan(1e-5);
  });

  it('agrees with float64 at every short length, whatever lies between the elements', async () => {
    for (let length = 1; length <= 18; length++) {
      for (const inner of [1, 3]) {
        const lines = 22 * inner; // no multiple of a workgroup
        const data = randomFloats(length, lines * length, -8, 8);
        const expected = new Float64Array(data.length);
        for (let line = 0; line < lines; line++) {
          const start = Math.floor(line / inner) * length * inner + (line % inner);
          const places = Array.from({ length }, (_, i) => start + i * inner);
          const sum = places.reduce((total, at) => total + Math.exp(data[at]!), 0);
          for (const at of places) expected[at] = Math.exp(data[at]!) / sum;
        }
        expect(relativeError(await run(data, length, false, inner), expected)).toBeLessThan(1e-6);
        expect(relativeError(await run(data, length, true, inner), expected.map(Math.log))).toBeLessThan(2e-6);
      }
    }
  });

  it('stays exact on long lines', async () => {
    const length = 20_000;
    const data = randomFloats(4, length, -10, 10);
    const powers = Float64Array.from(data, Math.exp);
    const sum = powers.reduce((total, value) => total + value, 0);
    expect(
      relativeError(
        await run(data, length, false),
        powers.map((value) => value / sum),
      ),
    ).toBeLessThan(1e-5);
  });

  it('has a gradient along a shared line that is orthogonal to the ones', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const length = 500;
    const y = await run(randomFloats(4, length), length, false);
    const dy = randomFloats(5, length);
    const dx = recorder.temporary('f32', length);
    const operands = { y: recorder.upload('f32', Float32Array.from(y)), dy: recorder.upload('f32', dy), dx };
    softmaxBackward(recorder, { ...operands, log: false, lines: { lines: 1, length, inner: 1 } });
    await recorder.run();
    const dot = y.reduce((sum, value, i) => sum + value * dy[i]!, 0);
    const expected = y.map((value, i) => value * (dy[i]! - dot));
    expect(relativeError(await recorder.read(dx), expected)).toBeLessThan(1e-5);
    recorder.dispose();
  });
});
