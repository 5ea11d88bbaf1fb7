import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import {
  channelSplits,
  fakeQuantize,
  fakeQuantizeBackward,
  lsqGradientScale,
  quantizerLevels,
  quantizerStep,
  scaledChannels,
} from '../../src/kernels/fakeQuantize.ts';
import { lsqInitialScale } from '../../src/kernels/lsqInitialScale.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';

interface Levels {
  low: number;
  high: number;
}

function halfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Equations 1 to 5 of Esser et al. 2020, one element. */
function lsq(x: number, s: number, { low, high }: Levels) {
  const v = x / s;
  const value = s * halfEven(Math.min(Math.max(v, low), high));
  if (v <= low) return { value, dx: 0, ds: low };
  if (v >= high) return { value, dx: 0, ds: high };
  return { value, dx: 1, ds: halfEven(v) - v };
}

/** Moves what lies so close to a step of the staircase that float32 and float64 may fall on different sides. */
function awayFromSteps(data: Float32Array, scaleOf: (i: number) => number): Float32Array<ArrayBuffer> {
  return Float32Array.from(data, (x, i) => {
    const v = x / scaleOf(i);
    const distance = Math.abs(v - Math.floor(v) - 0.5);
    const nearLevel = Math.abs(v - Math.round(v));
    return distance < 1e-3 || nearLevel < 1e-3 ? x + 0.01 * scaleOf(i) : x;
  });
}

const ranges: [string, Levels][] = [
  ['signed 2 bits, narrow', quantizerLevels(2, true, true)],
  ['signed 4 bits', quantizerLevels(4, true, false)],
  ['signed 8 bits, narrow', quantizerLevels(8, true, true)],
  ['unsigned 3 bits', quantizerLevels(3, false, false)],
];
const shapes: [number[], number][] = [
  [[7], -1],
  [[3, 5, 17, 33], -1],
  [[6, 4, 3, 3], 0],
  [[10, 84], 0],
  [[84, 10], 1],
  [[5, 7, 11], 1],
  [[5, 7, 12], 1],
  [[9, 20], -1],
  [[2, 4097], 0],
];

it('has the levels of the paper', () => {
  expect(quantizerLevels(2, true, true)).toEqual({ low: -1, high: 1 });
  expect(quantizerLevels(8, true, false)).toEqual({ low: -128, high: 127 });
  expect(quantizerLevels(8, true, true)).toEqual({ low: -127, high: 127 });
  expect(quantizerLevels(4, false, true)).toEqual({ low: 0, high: 15 });
  expect(lsqGradientScale(100, 4)).toBe(0.05);
});

it('splits long channels, and takes vectors where they come out even', () => {
  const cpu = { kind: 'cpu' } as const;
  expect(channelSplits(cpu, scaledChannels([4, 100, 100], 0))).toEqual({
    elements: 10000,
    args: { channels: 4, inner: 2500, length: 2500, splits: 3, chunk: 1024 },
    tunables: { WG: 8, T: 'vec4f', LANES: 4, CONTIGUOUS: true },
  });
  expect(channelSplits({ kind: 'gpu' }, scaledChannels([4, 3, 2], 1))).toEqual({
    elements: 8,
    args: { channels: 3, inner: 2, length: 8, splits: 1, chunk: 4096 },
    tunables: { WG: 64, T: 'f32', LANES: 1, CONTIGUOUS: false },
  });
  expect(channelSplits(cpu, scaledChannels([4, 3, 8], 1)).args).toMatchObject({ inner: 2, length: 8 });
  expect(channelSplits(cpu, scaledChannels([4, 9], 0)).tunables.T).toBe('f32');
});

describe.each(shapes)('shape %j, scale along axis %i', (shape, axis) => {
  const layout = scaledChannels(shape, axis);
  const n = layout.outer * layout.channels * layout.inner;
  const channelOf = (i: number) => Math.floor(i / layout.inner) % layout.channels;
  const scales = randomFloats(3, layout.channels, 0.05, 0.4);

  it.each(ranges)('rounds and has the gradients of the paper: %s', async (_, levels) => {
    const recorder = new DirectRecorder(await testGpu());
    const spread = Math.max(-levels.low, levels.high) * 0.3;
    const data = awayFromSteps(randomFloats(n, n, -spread, spread), (i) => scales[channelOf(i)]);
    const slopes = randomFloats(n + 1, n);
    const x = recorder.upload('f32', data);
    const scale = recorder.upload('f32', scales);
    const dy = recorder.upload('f32', slopes);
    const out = recorder.temporary('f32', n);
    const dx = recorder.temporary('f32', n);
    const dscale = recorder.temporary('f32', layout.channels);
    const alone = recorder.temporary('f32', layout.channels);
    const quantizer = { x, scale, channels: layout, ...levels };
    fakeQuantize(recorder, { ...quantizer, out });
    fakeQuantizeBackward(recorder, { ...quantizer, dy, dx, dscale, gradientScale: 0.25 });
    fakeQuantizeBackward(recorder, { ...quantizer, dy, dscale: alone, gradientScale: 0.25 });
    await recorder.run();
    const expected = Array.from(data, (value, i) => lsq(value, scales[channelOf(i)], levels));
    const sums = new Float64Array(layout.channels);
    expected.forEach(({ ds }, i) => {
      sums[channelOf(i)] += 0.25 * slopes[i] * ds;
    });
    expect(
      relativeError(
        await recorder.read(out),
        expected.map(({ value }) => value),
      ),
    ).toBeLessThan(1e-6);
    expect(await recorder.read(dx)).toEqual(Float32Array.from(expected, (one, i) => (one.dx ? slopes[i] : 0)));
    expect(relativeError(await recorder.read(dscale), sums)).toBeLessThan(2e-5);
    expect(await recorder.read(alone)).toEqual(await recorder.read(dscale));
    recorder.dispose();
  });

  it("begins with LSQ's scale", async () => {
    const recorder = new DirectRecorder(await testGpu());
    const data = randomFloats(n, n, -3, 1);
    const scale = recorder.temporary('f32', layout.channels);
    lsqInitialScale(recorder, { x: recorder.upload('f32', data), scale, high: 7, channels: layout });
    await recorder.run();
    const sums = new Float64Array(layout.channels);
    data.forEach((value, i) => {
      sums[channelOf(i)] += Math.abs(value);
    });
    const expected = sums.map((sum) => (2 * sum) / (n / layout.channels) / Math.sqrt(7));
    expect(relativeError(await recorder.read(scale), expected)).toBeLessThan(1e-6);
    recorder.dispose();
  });
});

it('rounds halves to even and takes a scale of 0 for a tiny one', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const data = Float32Array.of(0.25, 0.75, 1.25, -0.25, -0.75, -1.25, 100, -100);
  const x = recorder.upload('f32', data);
  const out = recorder.temporary('f32', 8);
  const flat = recorder.temporary('f32', 8);
  const levels = { low: -8, high: 7 };
  fakeQuantize(recorder, { x, scale: recorder.upload('f32', Float32Array.of(0.5)), out, ...levels });
  fakeQuantize(recorder, { x, scale: recorder.upload('f32', Float32Array.of(0)), out: flat, ...levels });
  await recorder.run();
  expect(Array.from(await recorder.read(out), (value) => value + 0)).toEqual([0, 1, 1, 0, -1, -1, 3.5, -4]);
  expect((await recorder.read(flat)).every((value) => Math.abs(value) < 1e-10)).toBe(true);
  recorder.dispose();
});

it('begins with a small scale where all is zero', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const scale = recorder.temporary('f32', 2);
  const x = recorder.upload('f32', Float32Array.of(0, 0, 1, -3));
  lsqInitialScale(recorder, { x, scale, high: 4, channels: scaledChannels([2, 2], 0) });
  await recorder.run();
  expect(Array.from(await recorder.read(scale))).toEqual([Math.fround(1e-8), 2]);
  recorder.dispose();
});

it('learns the scale that rounds best', async () => {
  // Steps of gradient descent on the scale alone, for the squared error of the rounding, must lower that error.
  const gpu = await testGpu();
  const n = 5000;
  const data = randomFloats(11, n);
  const levels = quantizerLevels(3, true, true);
  const error = (s: number) => data.reduce((sum, x) => sum + (lsq(x, s, levels).value - x) ** 2, 0) / n;
  let s = 0.12;
  const first = error(s);
  for (let step = 0; step < 40; step++) {
    const recorder = new DirectRecorder(gpu);
    const slopes = data.map((x) => (2 * (lsq(x, s, levels).value - x)) / n);
    const dscale = recorder.temporary('f32', 1);
    fakeQuantizeBackward(recorder, {
      x: recorder.upload('f32', data),
      scale: recorder.upload('f32', Float32Array.of(s)),
      dy: recorder.upload('f32', slopes),
      dscale,
      ...levels,
    });
    await recorder.run();
    s -= 0.02 * (await recorder.read(dscale))[0];
    recorder.dispose();
  }
  const best = Math.min(...Array.from({ length: 400 }, (_, i) => error(0.001 * (i + 1))));
  expect(error(s)).toBeLessThan(first / 2);
  expect(error(s)).toBeLessThan(best * 1.1);
});

describe('steps that are powers of two', () => {
  // √2 lies between two neighbouring floats; the ends of the range; what counts as 1e-12.
  const scales = [
    1,
    0.75,
    11863283 / 2 ** 23,
    11863284 / 2 ** 23,
    2.8284268,
    2.8284273,
    0.1,
    3e-39,
    0,
    -1,
    1e30,
    6.1e-5,
  ];

  it.each(scales)('takes the one next to %d by ratio', async (scale) => {
    const step = quantizerStep(scale, true);
    const positive = scale > 1e-12 ? scale : 1e-12;
    expect(Math.log2(step)).toBe(Math.round(Math.log2(step)));
    expect(Math.abs(Math.log2(step) - Math.log2(positive))).toBeLessThanOrEqual(0.5);
    const recorder = new DirectRecorder(await testGpu());
    const out = recorder.temporary('f32', 4);
    fakeQuantize(recorder, {
      x: recorder.upload('f32', Float32Array.of(0, step, 3.25 * step, -1e38)),
      scale: recorder.upload('f32', Float32Array.of(scale)),
      out,
      powerOfTwo: true,
      low: -4,
      high: 7,
    });
    await recorder.run();
    expect(await recorder.read(out)).toEqual(Float32Array.of(0, step, 3 * step, -4 * step));
    recorder.dispose();
  });

  it('have the gradients of the step that is taken', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const n = 1000;
    const levels = quantizerLevels(4, true, false);
    const data = awayFromSteps(randomFloats(1, n, -3, 3), () => 0.25);
    const x = recorder.upload('f32', data);
    const dy = recorder.upload('f32', randomFloats(2, n));
    const results = [0.25, 0.2].map((scale) => {
      const [dx, dscale] = [recorder.temporary('f32', n), recorder.temporary('f32', 1)];
      const operand = recorder.upload('f32', Float32Array.of(scale));
      fakeQuantizeBackward(recorder, { x, scale: operand, powerOfTwo: scale === 0.2, dy, dx, dscale, ...levels });
      return [dx, dscale];
    });
    await recorder.run();
    const [plain, rounded] = await Promise.all(
      results.map((operands) => Promise.all(operands.map((operand) => recorder.read(operand)))),
    );
    expect(rounded).toEqual(plain);
    recorder.dispose();
  });
});
