import { describe, expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { DynamicArgs } from '../../src/kernels/dynamicArgs.ts';
import {
  distillation,
  lossArgs,
  NO_RANK,
  softmaxCrossEntropy,
  softmaxCrossEntropyShader,
} from '../../src/kernels/softmaxCrossEntropy.ts';
import { testGpu } from '../support/gpu.ts';
import { random, randomFloats, relativeError } from '../support/numbers.ts';

function logSoftmax(row: ArrayLike<number>, temperature: number): number[] {
  const scaled = Array.from(row, (z) => z / temperature);
  const top = Math.max(...scaled);
  const total = Math.log(scaled.reduce((sum, z) => sum + Math.exp(z - top), 0));
  return scaled.map((z) => z - top - total);
}

interface Loss {
  smoothing?: number;
  alpha?: number;
  temperature?: number;
  teacher?: ArrayLike<number>;
}

/** torch.nn.CrossEntropyLoss(label_smoothing) of one row, and Hinton's loss where there is a teacher, in float64. */
function lossOf(row: ArrayLike<number>, label: number, loss: Loss): number {
  const { smoothing = 0, alpha = 0, temperature = 1, teacher } = loss;
  const log = logSoftmax(row, 1);
  const mean = log.reduce((sum, value) => sum + value, 0) / log.length;
  const hard = -(1 - smoothing) * log[label] - smoothing * mean;
  if (!teacher) return hard;
  const p = logSoftmax(teacher, temperature);
  const q = logSoftmax(row, temperature);
  const divergence = p.reduce((sum, value, j) => sum + Math.exp(value) * (value - q[j]), 0);
  return (1 - alpha) * hard + alpha * temperature ** 2 * divergence;
}

function rankOf(row: ArrayLike<number>, label: number): number {
  const order = Array.from(row, (_, j) => j).sort((a, b) => row[b] - row[a] || a - b);
  return order.indexOf(label);
}

async function compute(
  logits: Float32Array,
  labels: Uint32Array,
  options: {
    teacher?: Float32Array;
    smoothing?: number;
    alpha?: number;
    temperature?: number;
    weight?: number;
    count?: number;
  },
) {
  const recorder = new DirectRecorder(await testGpu());
  const rows = labels.length;
  const operands = {
    logits: recorder.upload('f32', logits),
    labels: recorder.upload('u32', labels),
    losses: recorder.upload('f32', new Float32Array(rows).fill(7)),
    ranks: recorder.temporary('u32', rows),
    dlogits: recorder.upload('f32', new Float32Array(logits.length).fill(7)),
  };
  const { teacher, ...settings } = options;
  if (teacher) distillation(recorder, { ...operands, ...settings, teacher: recorder.upload('f32', teacher) });
  else softmaxCrossEntropy(recorder, { ...operands, ...settings });
  await recorder.run();
  const result = {
    losses: await recorder.read(operands.losses),
    ranks: await recorder.readU32(operands.ranks),
    dlogits: await recorder.read(operands.dlogits),
  };
  recorder.dispose();
  return result;
}

const sizes = [
  [5, 2],
  [70, 10],
  [33, 33],
  [9, 100],
  [3, 1001],
  [2, 21000],
];

describe.each(sizes)('%i rows of %i classes', (rows, classes) => {
  const logits = randomFloats(classes, rows * classes, -6, 6);
  const teacher = randomFloats(classes + 1, rows * classes, -6, 6);
  const next = random(rows);
  const labels = Uint32Array.from({ length: rows }, () => next(0, classes));
  const row = (data: Float32Array, r: number) => data.subarray(r * classes, (r + 1) * classes);

  it.each([
    ['cross-entropy', {}],
    ['cross-entropy with smoothing', { smoothing: 0.1, weight: 3 }],
    ['distillation', { alpha: 0.7, temperature: 4, smoothing: 0.1, teacher: true }],
    ['distillation from the teacher alone', { alpha: 1, temperature: 1, weight: 0.5, teacher: true }],
  ] as const)('computes %s, its gradient and the ranks', async (_, settings) => {
    const { teacher: taught, ...rest } = { teacher: false, weight: 1, ...settings };
    const loss = (r: number, values: ArrayLike<number>) =>
      lossOf(values, labels[r], { ...rest, teacher: taught ? row(teacher, r) : undefined });
    const got = await compute(logits, labels, { ...rest, teacher: taught ? teacher : undefined });
    const expected = Array.from(labels, (_, r) => loss(r, row(logits, r)));
    expect(relativeError(got.losses, expected)).toBeLessThan(2e-6);
    expect(Array.from(got.ranks)).toEqual(Array.from(labels, (label, r) => rankOf(row(logits, r), label)));
    // Central differences of a few logits of every row; the label's own among them.
    const h = 1e-4;
    const actual: number[] = [];
    const slopes: number[] = [];
    for (let r = 0; r < rows; r++) {
      for (const j of [labels[r], 0, classes - 1, classes >> 1]) {
        const moved = Float64Array.from(row(logits, r));
        const centre = moved[j];
        moved[j] = centre + h;
        const up = loss(r, moved);
        moved[j] = centre - h;
        slopes.push((rest.weight * (up - loss(r, moved))) / (2 * h) / rows);
        actual.push(got.dlogits[r * classes + j]);
      }
    }
    expect(relativeError(actual, slopes)).toBeLessThan(1e-5);
    // Every row of a gradient of a softmax sums to 0.
    for (let r = 0; r < rows; r++) {
      const sum = row(got.dlogits, r).reduce((total, value) => total + value, 0);
      expect(Math.abs(sum)).toBeLessThan(2e-6);
    }
  });
});

it('leaves rows of padding out and divides by the rows that count', async () => {
  const classes = 10;
  const logits = randomFloats(3, 8 * classes);
  logits.fill(Number.NaN, 5 * classes);
  const labels = Uint32Array.of(1, 2, 3, 4, 5, 4_000_000_000, 7, 8);
  const part = await compute(logits, labels, { count: 5, smoothing: 0.1 });
  const whole = await compute(logits.slice(0, 50), labels.slice(0, 5), { smoothing: 0.1 });
  expect(part.losses.subarray(0, 5)).toEqual(whole.losses);
  expect(part.dlogits.subarray(0, 50)).toEqual(whole.dlogits);
  expect(Array.from(part.losses.subarray(5))).toEqual([0, 0, 0]);
  expect(Array.from(part.ranks.subarray(5))).toEqual([NO_RANK, NO_RANK, NO_RANK]);
  expect(part.dlogits.subarray(50).every((value) => Object.is(value, 0))).toBe(true);
});

it.each([10, 100])('is stable for extreme logits of %i classes', async (classes) => {
  const logits = new Float32Array(3 * classes).fill(-1000);
  logits[4] = 1000; // sure and right
  logits[classes + 4] = 1000; // sure and wrong
  logits.fill(88, 2 * classes); // undecided
  const { losses, dlogits } = await compute(logits, Uint32Array.of(4, 5, 6), {});
  expect(losses[0]).toBe(0);
  expect(losses[1]).toBe(2000);
  expect(losses[2]).toBeCloseTo(Math.log(classes), 5);
  expect(dlogits.every(Number.isFinite)).toBe(true);
  expect(dlogits[classes + 5]).toBeCloseTo(-1 / 3, 6);
});

it('has no divergence where student and teacher agree', async () => {
  const logits = randomFloats(5, 40, -20, 20);
  const { losses, dlogits } = await compute(logits, Uint32Array.of(0, 1, 2, 3), {
    teacher: logits,
    alpha: 1,
    temperature: 3,
  });
  expect(Array.from(losses, Math.abs)).toEqual([0, 0, 0, 0]);
  expect(dlogits.every((value) => value === 0)).toBe(true);
});

it('breaks ties of ranks by index and never counts a NaN as right', async () => {
  const nan = Number.NaN;
  const rows = [
    [1, 1, 1, 0],
    [1, 1, 1, 0],
    [nan, 2, 1, 0],
    [nan, nan, nan, nan],
    [3, nan, 1, 0],
    [1, Number.POSITIVE_INFINITY, 1, 0],
    [1, Number.NEGATIVE_INFINITY, 1, 0],
  ];
  const { ranks, losses } = await compute(Float32Array.from(rows.flat()), Uint32Array.of(0, 2, 1, 0, 0, 0, 0), {});
  expect(Array.from(ranks)).toEqual([0, 2, 1, 4, 1, 1, 0]);
  expect(Array.from(losses, Number.isNaN)).toEqual([false, false, true, true, true, true, false]);
});

it('computes losses without a gradient', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const logits = randomFloats(4, 30);
  const labels = Uint32Array.of(1, 2, 0);
  const losses = recorder.temporary('f32', 3);
  const ranks = recorder.temporary('u32', 3);
  softmaxCrossEntropy(recorder, {
    logits: recorder.upload('f32', logits),
    labels: recorder.upload('u32', labels),
    losses,
    ranks,
  });
  await recorder.run();
  const expected = Array.from(labels, (label, r) => lossOf(logits.subarray(10 * r, 10 * r + 10), label, {}));
  expect(relativeError(await recorder.read(losses), expected)).toBeLessThan(2e-6);
  recorder.dispose();
});

it('takes its arguments from a buffer that changes between replays', async () => {
  const gpu = await testGpu();
  const recorder = new DirectRecorder(gpu);
  const logits = randomFloats(4, 30);
  const labels = Uint32Array.of(1, 2, 0);
  const losses = recorder.temporary('f32', 3);
  const settings = { rows: 3, classes: 10 };
  const args = new DynamicArgs(gpu, softmaxCrossEntropyShader, lossArgs(settings));
  softmaxCrossEntropy(recorder, {
    logits: recorder.upload('f32', logits),
    labels: recorder.upload('u32', labels),
    losses,
    ranks: recorder.temporary('u32', 3),
    args: args.slice,
  });
  const plan = await recorder.compile();
  for (const count of [3, 1, 2]) {
    args.write(lossArgs({ ...settings, count }));
    plan.replay();
    const got = await recorder.read(losses);
    expect(Array.from(got, (value) => value > 0)).toEqual([true, count > 1, count > 2]);
  }
  plan.dispose();
  args.dispose();
  recorder.dispose();
});

it('refuses a temperature of 0', () => {
  expect(() => lossArgs({ rows: 1, classes: 2, temperature: 0 })).toThrow('temperature');
});
