import { expect, it } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { DynamicArgs } from '../../src/kernels/dynamicArgs.ts';
import { METRICS, recordMetrics, recordMetricsShader } from '../../src/kernels/recordMetrics.ts';
import { NO_RANK } from '../../src/kernels/softmaxCrossEntropy.ts';
import { testGpu } from '../support/gpu.ts';
import { random, randomFloats } from '../support/numbers.ts';

it.each([1, 64, 130])('writes the metrics of %i rows to the slot of each replay', async (rows) => {
  const gpu = await testGpu();
  const recorder = new DirectRecorder(gpu);
  const next = random(rows);
  const losses = randomFloats(rows, rows, 0, 5);
  const ranks = Uint32Array.from({ length: rows }, () => next(0, 8));
  ranks[rows - 1] = rows > 1 ? NO_RANK : 0;
  const slots = 4;
  const ring = recorder.upload('f32', new Float32Array(slots * METRICS).fill(-1));
  const args = new DynamicArgs(gpu, recordMetricsShader, { slot: 0, count: 0 });
  recordMetrics(recorder, {
    losses: recorder.upload('f32', losses),
    ranks: recorder.upload('u32', ranks),
    ring,
    args: args.slice,
  });
  const plan = await recorder.compile();
  const steps = [
    { slot: 2, count: rows },
    { slot: 0, count: Math.ceil(rows / 2) },
    { slot: 3, count: 0 },
  ];
  for (const step of steps) {
    args.write(step);
    plan.replay();
  }
  const got = await recorder.read(ring);
  for (const { slot, count } of steps) {
    const counted = Array.from(ranks.subarray(0, count));
    const [loss, ...counts] = got.subarray(slot * METRICS, (slot + 1) * METRICS);
    const mean = losses.subarray(0, count).reduce((sum, value) => sum + value, 0) / Math.max(count, 1);
    expect(loss).toBeCloseTo(mean, 5);
    expect(counts).toEqual([
      counted.filter((rank) => rank === 0).length,
      counted.filter((rank) => rank < 5).length,
      count,
    ]);
  }
  expect(Array.from(got.subarray(METRICS, 2 * METRICS))).toEqual([-1, -1, -1, -1]);
  plan.dispose();
  args.dispose();
  recorder.dispose();
});
