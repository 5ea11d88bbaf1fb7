import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { type AdamSettings, adam, adamArgs, adamShader } from '../../src/kernels/adam.ts';
import { arenaRanges, arenaSlice, fullMask, RATE_GROUPS, segmentTable } from '../../src/kernels/arena.ts';
import { type BufferOperand, DirectRecorder } from '../../src/kernels/direct.ts';
import { DynamicArgs } from '../../src/kernels/dynamicArgs.ts';
import { globalNorm } from '../../src/kernels/globalNorm.ts';
import { type SgdSettings, sgd, sgdArgs, sgdShader } from '../../src/kernels/sgd.ts';
import type { Scalar } from '../../src/kernels/shader.ts';
import { testGpu } from '../support/gpu.ts';
import { random, randomFloats, relativeError } from '../support/numbers.ts';

type Rule =
  | ({ kind: 'sgd'; nesterov?: boolean } & Omit<SgdSettings, 'rate'>)
  | ({ kind: 'adam'; decoupled?: boolean } & Omit<AdamSettings, 'rate' | 'step'>);

// One that decays, one that does not, one that is frozen, one with a tenth of the rate, one with relative steps.
const ELEMENTS = 384;
const entries = [
  { offset: 0, elements: 100, decays: true },
  { offset: 128, elements: 64 },
  { offset: 192, elements: 3, trainable: false, decays: true },
  { offset: 256, elements: 60, decays: true, group: 5 },
  { offset: 320, elements: 40, relative: true },
];
const multipliers = new Float32Array(RATE_GROUPS).fill(1);
multipliers[5] = 0.1;
const entryOf = (i: number) => entries.find((entry) => i >= entry.offset && i < entry.offset + entry.elements);
const rateAt = (step: number) => 0.1 / step;

/** torch.optim.SGD, Adam and AdamW of one weight, from their documentation, in float64. */
function torchStep(rule: Rule, state: { w: number; a: number; b: number }, given: number, step: number, i: number) {
  const entry = entryOf(i);
  if (!entry || entry.trainable === false) return;
  const rate = rateAt(step) * (entry.group ? 0.1 : 1);
  const decay = entry.decays ? (rule.decay ?? 0) : 0;
  let g = given;
  if (rule.kind === 'sgd') {
    const momentum = rule.momentum ?? 0;
    g += decay * state.w;
    state.a = step === 1 ? g : momentum * state.a + g;
    state.w -= rate * (rule.nesterov ? g + momentum * state.a : state.a);
    return;
  }
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = rule;
  if (rule.decoupled) state.w -= rate * decay * state.w;
  else g += decay * state.w;
  state.a = beta1 * state.a + (1 - beta1) * g;
  state.b = beta2 * state.b + (1 - beta2) * g * g;
  const denominator = Math.sqrt(state.b) / Math.sqrt(1 - beta2 ** step) + epsilon;
  const unit = entry.relative ? Math.abs(state.w) : 1;
  state.w -= (unit * (rate / (1 - beta1 ** step)) * state.a) / denominator;
}

interface Run {
  rule: Rule;
  weights: Float32Array;
  gradients: readonly Float32Array[];
  mask?: Uint32Array;
  clip?: number;
  /** Bytes of a storage binding, to cut the arena into ranges. */
  binding?: number;
  rate?: (step: number) => number;
}

/** The kernel over several steps, with arguments that change between replays of one plan. */
async function optimize({ rule, weights, gradients, mask, clip, binding = 1 << 27, rate = rateAt }: Run) {
  const gpu = await testGpu();
  const recorder = new DirectRecorder(gpu);
  const { length } = weights;
  const w = recorder.upload('f32', weights);
  const g = recorder.temporary('f32', length);
  const a = recorder.upload('f32', new Float32Array(length));
  const b = recorder.upload('f32', new Float32Array(length));
  const bits = mask && recorder.upload('u32', mask);
  const table = recorder.upload(
    'u32',
    length === ELEMENTS ? segmentTable(length, entries) : segmentTable(length, [{ offset: 0, elements: length }]),
  );
  const norm = clip === undefined ? undefined : recorder.temporary('f32', 1);
  const part = <T extends Scalar>(
    operand: BufferOperand<T>,
    range: { start: number; elements: number },
    kind: 'values' | 'mask' | 'segments' = 'values',
  ): BufferOperand<T> => {
    const slice = arenaSlice(operand.slice, range, kind);
    return { ...operand, slice, elements: slice.size / 4 };
  };
  const ranges = arenaRanges(length, binding).map((range) => ({
    weights: part(w, range),
    gradients: part(g, range),
    momentum: part(a, range),
    moment1: part(a, range),
    moment2: part(b, range),
    mask: bits && part(bits, range, 'mask'),
    segments: part(table, range, 'segments'),
  }));
  if (norm) globalNorm(recorder, { ranges, norm });
  const rates = recorder.upload('f32', multipliers);
  const argsOf = (step: number) =>
    rule.kind === 'sgd'
      ? sgdArgs({ ...rule, rate: rate(step), maxNorm: clip })
      : adamArgs({ ...rule, rate: rate(step), step, maxNorm: clip });
  // One argument buffer serves every range.
  const args = new DynamicArgs<typeof sgdShader | typeof adamShader>(
    gpu,
    rule.kind === 'sgd' ? sgdShader : adamShader,
    argsOf(1),
  );
  for (const { momentum, moment1, moment2, ...range } of ranges) {
    const shared = { ...range, multipliers: rates, norm, args: args.slice };
    if (rule.kind === 'sgd') sgd(recorder, { ...shared, momentum, nesterov: rule.nesterov });
    else adam(recorder, { ...shared, moment1, moment2, decoupled: rule.decoupled });
  }
  const plan = await recorder.compile();
  for (const [index, gradient] of gradients.entries()) {
    args.write(argsOf(index + 1));
    gpu.write(g.slice, gradient as Float32Array<ArrayBuffer>);
    plan.replay();
  }
  const result = {
    weights: await recorder.read(w),
    first: await recorder.read(a),
    second: await recorder.read(b),
    norm: norm && (await recorder.read(norm))[0],
  };
  plan.dispose();
  args.dispose();
  recorder.dispose();
  return result;
}

const STEPS = 7;
// The padding behind a parameter is 0, and so is its gradient.
const withPadding = (values: Float32Array) => values.map((value, i) => (entryOf(i) ? value : 0));
const initial = withPadding(randomFloats(1, ELEMENTS));
const gradients = Array.from({ length: STEPS }, (_, step) => withPadding(randomFloats(10 + step, ELEMENTS)));

const rules: Record<string, Rule> = {
  'plain SGD': { kind: 'sgd' },
  'SGD with momentum and decay': { kind: 'sgd', momentum: 0.9, decay: 0.05 },
  'SGD with Nesterov momentum': { kind: 'sgd', momentum: 0.9, decay: 0.05, nesterov: true },
  Adam: { kind: 'adam' },
  'Adam with decay': { kind: 'adam', decay: 0.05, beta1: 0.8, beta2: 0.95, epsilon: 1e-3 },
  AdamW: { kind: 'adam', decay: 0.05, decoupled: true },
};

describe.each(Object.entries(rules))('%s', (_, rule) => {
  it('takes the steps of torch.optim', async () => {
    const got = await optimize({ rule, weights: initial, gradients });
    const states = Array.from(initial, (w) => ({ w, a: 0, b: 0 }));
    gradients.forEach((gradient, step) => {
      states.forEach((state, i) => {
        torchStep(rule, state, gradient[i], step + 1, i);
      });
    });
    expect(
      relativeError(
        got.weights,
        states.map(({ w }) => w),
      ),
    ).toBeLessThan(2e-6);
    expect(
      relativeError(
        got.first,
        states.map(({ a }) => a),
      ),
    ).toBeLessThan(2e-6);
    if (rule.kind === 'adam')
      expect(
        relativeError(
          got.second,
          states.map(({ b }) => b),
        ),
      ).toBeLessThan(2e-6);
    // What is frozen, and what no entry names, is left alone to the bit.
    for (let i = 0; i < ELEMENTS; i++) {
      if (entryOf(i)?.trainable === false) expect(got.weights[i]).toBe(initial[i]);
    }
  });

  it('keeps pruned weights and their momentum at exactly 0', async () => {
    const next = random(4);
    const mask = Uint32Array.from({ length: ELEMENTS / 32 }, () => next(0, 2 ** 32));
    const kept = (i: number) => ((mask[i >> 5] >>> (i & 31)) & 1) === 1;
    const weights = initial.map((w, i) => (kept(i) ? w : [w, -0, Number.NaN, Number.NEGATIVE_INFINITY][i % 4]));
    const bad = gradients.map((gradient) =>
      gradient.map((g, i) => (kept(i) ? g : [g, Number.NaN, Number.POSITIVE_INFINITY, -1e38][i % 4])),
    );
    const pruned = await optimize({ rule, weights, gradients: bad, mask, clip: 1e6 });
    const dense = await optimize({ rule, weights: initial, gradients });
    for (let i = 0; i < ELEMENTS; i++) {
      const entry = entryOf(i);
      if (!entry || entry.trainable === false) continue;
      if (kept(i)) expect(pruned.weights[i]).toBe(dense.weights[i]);
      else
        for (const values of [pruned.weights, pruned.first, pruned.second]) expect(Object.is(values[i], 0)).toBe(true);
    }
    expect(Number.isFinite(pruned.norm)).toBe(true);
  });
});

describe("agrees with TensorFlow.js's optimizers", () => {
  const length = 128;
  const weights = randomFloats(2, length);
  const slopes = Array.from({ length: 6 }, (_, step) => randomFloats(30 + step, length));
  const cases: [string, Rule, () => tf.Optimizer][] = [
    ['momentum', { kind: 'sgd', momentum: 0.9 }, () => tf.train.momentum(0.05, 0.9)],
    ['Nesterov momentum', { kind: 'sgd', momentum: 0.9, nesterov: true }, () => tf.train.momentum(0.05, 0.9, true)],
    ['Adam', { kind: 'adam', epsilon: 1e-7 }, () => tf.train.adam(0.05, 0.9, 0.999, 1e-7)],
  ];
  it.each(cases)('%s', async (_, rule, create) => {
    await tf.setBackend('cpu');
    const variable = tf.variable(tf.tensor1d(weights), true, `w ${rule.kind} ${JSON.stringify(rule)}`);
    const optimizer = create();
    for (const slope of slopes) optimizer.applyGradients({ [variable.name]: tf.tensor1d(slope) });
    const got = await optimize({ rule, weights, gradients: slopes, rate: () => 0.05 });
    expect(relativeError(got.weights, variable.dataSync())).toBeLessThan(3e-6);
    optimizer.dispose();
    variable.dispose();
  });
});

describe('an arena beyond a storage binding', () => {
  const length = 3 * 4096 + 192;
  const weights = randomFloats(5, length);
  const next = random(6);
  const mask = Uint32Array.from({ length: length / 32 }, () => next(0, 2 ** 32));
  const slopes = [randomFloats(7, length), randomFloats(8, length)];
  it.each([rules['SGD with momentum and decay'], rules.AdamW])('$kind gives the same bits in ranges', async (rule) => {
    const run = { rule, weights, gradients: slopes, mask, clip: 0.5 };
    const whole = await optimize(run);
    const ranges = await optimize({ ...run, binding: 4 * 4096 });
    expect(ranges.weights).toEqual(whole.weights);
    expect(ranges.first).toEqual(whole.first);
    expect(ranges.norm).toBe(whole.norm);
  });
});

describe('gradient clipping', () => {
  const kept = fullMask(ELEMENTS);
  kept[1] = 0;
  const used = (i: number) => {
    const entry = entryOf(i);
    return entry && entry.trainable !== false && (i < 32 || i >= 64);
  };
  const gradient = gradients[0];
  const length = Math.sqrt(gradient.reduce((sum, g, i) => sum + (used(i) ? g * g : 0), 0));

  it('measures the norm of what will be used', async () => {
    const rule: Rule = { kind: 'sgd' };
    const got = await optimize({ rule, weights: initial, gradients: [gradient], mask: kept, clip: 1 });
    expect(relativeError([got.norm as number], [length])).toBeLessThan(1e-6);
  });

  it.each([length / 3, length * 2])('scales down to the norm %f, never up', async (limit) => {
    const rule: Rule = { kind: 'sgd' };
    const got = await optimize({ rule, weights: initial, gradients: [gradient], mask: kept, clip: limit });
    // torch.nn.utils.clip_grad_norm_
    const factor = Math.min(1, limit / (length + 1e-6));
    const expected = Array.from(initial, (w, i) => {
      const entry = entryOf(i);
      if (i >= 32 && i < 64) return 0;
      if (!entry || entry.trainable === false) return w;
      return w - 0.1 * (entry.group ? 0.1 : 1) * factor * gradient[i];
    });
    expect(relativeError(got.weights, expected)).toBeLessThan(1e-6);
  });
});

it('refuses what does not fit the arena', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const f = (n: number) => recorder.temporary('f32', n);
  const u = (n: number) => recorder.temporary('u32', n);
  const good = {
    weights: f(128),
    gradients: f(128),
    momentum: f(128),
    segments: u(2),
    multipliers: f(16),
    args: sgdArgs({ rate: 1 }),
  };
  expect(() => sgd(recorder, { ...good, weights: f(100) })).toThrow('no whole segments');
  expect(() => sgd(recorder, { ...good, momentum: f(64) })).toThrow('need 128');
  expect(() => sgd(recorder, { ...good, mask: u(3) })).toThrow('mask');
  expect(() => sgd(recorder, { ...good, segments: u(1) })).toThrow('segment table');
  expect(() => adamArgs({ rate: 1, step: 0 })).toThrow('from 1');
  recorder.dispose();
});
