import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InferenceModel } from '../../src/engine/inference.ts';
import { LimitError } from '../../src/gpu/errors.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';
import type { Dataset } from '../../src/train/data/dataset.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { evaluate } from '../../src/train/evaluate.ts';
import { ADAM, cnn, createTrainer, digits } from './problems.ts';

let gpu: Gpu;
let dataset: Dataset;
let bound: number;
beforeAll(async () => {
  gpu = (await openGpu()).gpu; // of its own: its limits are changed
  dataset = await digits({ count: 120 });
  bound = gpu.capabilities.maxBindingBytes;
});
afterAll(() => gpu.destroy());

/** What the adapter may bind at once, from now on. */
function allow(bytes: number): void {
  (gpu.capabilities as { maxBindingBytes: number }).maxBindingBytes = bytes;
}

describe('a plan that the adapter cannot bind', () => {
  const plans: [string, () => Promise<{ dispose(): void }>][] = [
    [
      'a training step with a teacher',
      () =>
        createTrainer(gpu, cnn(1), dataset, {
          batch: 100,
          optimizer: ADAM,
          teacher: { graph: cnn(2), temperature: 2, alpha: 0.5 },
        }),
    ],
    ['inference', () => InferenceModel.compile(gpu, cnn(1), { batch: 100 })],
  ];
  it.each(plans)('is refused, and leaves nothing behind: %s', async (_, make) => {
    allow(bound);
    (await make()).dispose();
    const { bytes, buffers } = gpu.buffers.statistics;
    allow(40_000);
    await expect(make()).rejects.toThrow(LimitError);
    expect(gpu.buffers.statistics).toMatchObject({ bytes, buffers });
  });

  it('makes evaluation take smaller batches, unless a batch was asked for', async () => {
    const preprocess = defaultPreprocess();
    allow(bound);
    const whole = await evaluate(gpu, cnn(1), dataset, { preprocess });
    allow(40_000);
    const { loss, top1, top5 } = await evaluate(gpu, cnn(1), dataset, { preprocess });
    expect({ top1, top5 }).toEqual({ top1: whole.top1, top5: whole.top5 });
    expect(loss).toBeCloseTo(whole.loss, 5);
    const { bytes } = gpu.buffers.statistics; // buffers for reading back are kept
    await expect(evaluate(gpu, cnn(1), dataset, { preprocess, batch: 100 })).rejects.toThrow(/smaller batch/);
    expect(gpu.buffers.statistics.bytes).toBe(bytes);
  });
});
