import { beforeAll, describe, expect, it } from 'vitest';
import { quantizeGraph } from '../../src/compress/quantizeGraph.ts';
import { InferenceModel } from '../../src/engine/inference.ts';
import { InputError } from '../../src/graph/errors.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import { type Dataset, memoryDataset } from '../../src/train/data/dataset.ts';
import { TrainingFeed } from '../../src/train/feed.ts';
import type { OptimizerConfig } from '../../src/train/optimizer.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { testGpu } from '../support/gpu.ts';
import { random } from '../support/numbers.ts';
import { ADAM, cnn, createTrainer, digits, mlp, Net, runSteps, SGD } from './problems.ts';

let dataset: Dataset;
beforeAll(async () => {
  dataset = await digits({ count: 256 });
});

const feedOf = (seed: number, batch = 32) =>
  new TrainingFeed(dataset, { batch, seed, augment: { crop: 2, flip: false } });

async function savedText(trainer: Trainer): Promise<string> {
  const saved = await trainer.save();
  return [...saved].map(([name, bytes]) => `${name} ${Buffer.from(bytes).toString('base64')}`).join('\n');
}

describe('a training step', () => {
  it('allocates nothing: the same buffers after 1,000 steps as after 10', async () => {
    const gpu = await testGpu();
    // One layer: a thousand steps take a second or two.
    const net = new Net(1, ['N', 196]);
    const graph = net.graph(net.dense('fc', 'image', [10, 196]));
    const trainer = await createTrainer(gpu, graph, dataset, { batch: 4, augmented: true });
    const feed = feedOf(1, 4);
    await runSteps(trainer, feed, { to: 10, rate: 0.01 });
    const { bytes, buffers, created, peakBytes } = gpu.buffers.statistics;
    await runSteps(trainer, feed, { from: 10, to: 1000, rate: 0.01 });
    expect(gpu.buffers.statistics).toEqual({ bytes, buffers, created, peakBytes });
    trainer.dispose();
  });

  it('reports every step once, in order', async () => {
    const trainer = await createTrainer(await testGpu(), mlp(1, 8), dataset, { batch: 8 });
    const metrics = await runSteps(trainer, feedOf(1, 8), { to: 150, rate: 0.01 });
    expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: 150 }, (_, i) => i));
    expect(metrics.every(({ loss, top1 }) => loss > 0 && top1 >= 0 && top1 <= 1)).toBe(true);
    trainer.dispose();
  });

  it('leaves no buffer behind when the trainer is disposed of', async () => {
    const gpu = await testGpu();
    const cycle = async () => {
      const { graph } = quantizeGraph(cnn(1), {
        weights: { bits: 4, perChannel: true, initial: 'mse' },
        activations: { bits: 4 },
        layers: {},
        skip: [],
      });
      const trainer = await createTrainer(gpu, graph, dataset, {
        augmented: true,
        importance: 'taylor',
        teacher: { graph: cnn(2), temperature: 2, alpha: 0.5 },
        optimizer: { ...ADAM, clipNorm: 1 },
      });
      await runSteps(trainer, feedOf(1), { to: 2, rate: 0.01 });
      trainer.dispose();
      return gpu.buffers.statistics;
    };
    const { bytes, buffers } = await cycle();
    expect(await cycle()).toMatchObject({ bytes, buffers });
  });
});

describe('training', () => {
  it('gives the same bits for the same seed, and others for another', async () => {
    const gpu = await testGpu();
    const run = async (seed: number) => {
      const trainer = await createTrainer(gpu, cnn(3), dataset, { augmented: true, optimizer: ADAM });
      await runSteps(trainer, feedOf(seed), { to: 20, rate: 2e-3 });
      const text = await savedText(trainer);
      trainer.dispose();
      return text;
    };
    const first = await run(5);
    expect(await run(5)).toBe(first);
    expect(await run(6)).not.toBe(first);
  });

  it.each<[string, OptimizerConfig]>([
    ['SGD', { ...SGD, nesterov: true, weightDecay: 1e-3 }],
    ['AdamW', { ...ADAM, kind: 'adamw', weightDecay: 0.1 }],
  ])('continues from a saved state to the same bits: %s', async (_, optimizer) => {
    const gpu = await testGpu();
    const options = { augmented: true, optimizer, importance: 'taylor' as const };
    const mask = Uint8Array.from({ length: 8 * 4 * 9 }, (_, i) => (i % 3 === 0 ? 0 : 1));
    const unbroken = await createTrainer(gpu, cnn(3), dataset, {
      ...options,
      masks: new Map([['conv2.weight', mask]]),
    });
    await runSteps(unbroken, feedOf(5), { to: 7, rate: 2e-3 });
    const saved = await unbroken.save();
    await runSteps(unbroken, feedOf(5), { from: 7, to: 15, rate: 2e-3 });
    const expected = await savedText(unbroken);
    unbroken.dispose();
    // The other one starts with other weights, another mask and moments of its own.
    const resumed = await createTrainer(gpu, cnn(4), dataset, options);
    await runSteps(resumed, feedOf(9), { to: 3, rate: 2e-3 });
    resumed.restore(saved);
    await runSteps(resumed, feedOf(5), { from: 7, to: 15, rate: 2e-3 });
    expect(await savedText(resumed)).toBe(expected);
    resumed.dispose();
  });

  it('refuses a saved state that does not fit, and changes nothing', async () => {
    const trainer = await createTrainer(await testGpu(), cnn(3), dataset);
    const before = await savedText(trainer);
    const saved = await trainer.save();
    const altered = new Map([...saved].map(([name, bytes]) => [name, bytes.map((byte) => byte ^ 1)]));
    for (const change of [
      (state: Map<string, Uint8Array>) => state.delete('momentum'),
      (state: Map<string, Uint8Array>) => state.set('weights', new Uint8Array(12)),
    ]) {
      const state = new Map(altered);
      change(state);
      expect(() => trainer.restore(state)).toThrow(InputError);
      expect(await savedText(trainer)).toBe(before);
    }
    trainer.dispose();
  });

  it.each<[string, OptimizerConfig]>([
    ['SGD with momentum and decay', { ...SGD, weightDecay: 0.01 }],
    ['Adam with decay', { ...ADAM, weightDecay: 0.01 }],
    ['AdamW with decay', { ...ADAM, kind: 'adamw', weightDecay: 0.1 }],
  ])('keeps pruned weights at exactly 0: %s', async (_, optimizer) => {
    const graph = cnn(3);
    const next = random(11);
    const masks = new Map(
      ['conv1.weight', 'conv2.weight', 'fc.weight'].map((name) => [
        name,
        Uint8Array.from(graph.initializers.get(name)!.data as Float32Array, () => (next() < 0.6 ? 0 : 1)),
      ]),
    );
    const trainer = await createTrainer(await testGpu(), graph, dataset, { optimizer, masks });
    await runSteps(trainer, feedOf(1), { to: 12, rate: 5e-3 });
    const { tensors, masks: after } = await trainer.download();
    for (const [name, mask] of masks) {
      expect(after.get(name)).toEqual(mask);
      const data = tensors.get(name)!.data as Float32Array;
      expect(data.filter((value, i) => !mask[i] && !Object.is(value, 0))).toHaveLength(0);
      expect(data.filter((value, i) => mask[i] && value === 0)).toHaveLength(0);
    }
    expect([...after.keys()].sort()).toEqual([...masks.keys()].sort());
    trainer.dispose();
  });

  it.each<[string, OptimizerConfig]>([
    ['SGD', { ...SGD, momentum: 0 }],
    ['AdamW', { ...ADAM, kind: 'adamw' }],
  ])('lets weights decay, not biases, normalisation or scales: %s', async (_, optimizer) => {
    const { graph } = quantizeGraph(cnn(3), {
      weights: { bits: 8, perChannel: true, initial: 'mse' },
      layers: {},
      skip: [],
    });
    const decayed = await createTrainer(await testGpu(), graph, dataset, {
      optimizer: { ...optimizer, weightDecay: 1e5 },
    });
    // So small a rate that nothing but the decay moves anything: 1 − 1e-6·1e5 = 0.9.
    await runSteps(decayed, feedOf(1), { to: 1, rate: 1e-6 });
    const { tensors } = await decayed.download();
    let weights = 0;
    for (const { name, role } of decayed.store.trained) {
      const before = graph.initializers.get(name)!.data as Float32Array;
      const after = tensors.get(name)!.data as Float32Array;
      const factor = role === 'weight' ? 0.9 : 1;
      if (role === 'weight') weights++;
      for (const [i, value] of after.entries()) expect(Math.abs(value - factor * before[i]!)).toBeLessThan(2e-5);
    }
    expect(weights).toBe(3);
    decayed.dispose();
  });

  it('reaches the least loss that there is, where that is known', async () => {
    // Inputs are four one-hot patterns; a linear layer can learn each pattern's distribution of labels and no more, so
    // the least mean cross-entropy is the conditional entropy H(label | pattern).
    const counts = [
      [6, 1, 1],
      [2, 2, 4],
      [1, 7, 0],
      [3, 3, 2],
    ];
    const labels: number[] = [];
    const patterns: number[] = [];
    counts.forEach((row, pattern) => {
      row.forEach((count, label) => {
        for (let i = 0; i < count; i++) {
          labels.push(label);
          patterns.push(pattern);
        }
      });
    });
    const samples = new Float32Array(4 * labels.length);
    patterns.forEach((pattern, i) => {
      samples[4 * i + pattern] = 1;
    });
    const entropy =
      counts.flat().reduce((sum, count) => (count > 0 ? sum - count * Math.log(count / 8) : sum), 0) / labels.length;
    const data = memoryDataset({ name: 'patterns', split: 'train', sampleShape: [4], classes: 3, samples, labels });
    const net = new Net(1, ['N', 4]);
    const graph = net.graph(net.dense('fc', 'image', [3, 4]));
    const trainer = await createTrainer(await testGpu(), graph, data, { batch: labels.length });
    const metrics = await runSteps(trainer, new TrainingFeed(data, { batch: labels.length, seed: 1 }), {
      to: 400,
      rate: 0.5,
    });
    expect(metrics[0]!.loss).toBeGreaterThan(entropy + 0.1);
    expect(Math.abs(metrics.at(-1)!.loss - entropy)).toBeLessThan(2e-3);
    expect(metrics.at(-1)!.top1).toBeCloseTo((6 + 4 + 7 + 3) / 32, 6);
    trainer.dispose();
  });

  it('learns digits', async () => {
    const trainer = await createTrainer(await testGpu(), cnn(7), dataset, { optimizer: ADAM });
    const metrics = await runSteps(trainer, new TrainingFeed(dataset, { batch: 32, seed: 1 }), { to: 80, rate: 5e-3 });
    const mean = (part: typeof metrics) => part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    expect(mean(metrics.slice(0, 4))).toBeGreaterThan(1.5);
    expect(mean(metrics.slice(-8))).toBeLessThan(0.6);
    trainer.dispose();
  });
});

describe('distillation', () => {
  const teacher = { graph: cnn(21), temperature: 3, alpha: 0.7 };

  it('lowers the loss against a teacher that stays as it is', async () => {
    const gpu = await testGpu();
    const batch = 32;
    const trainer = await createTrainer(gpu, mlp(5), dataset, { batch, teacher });
    const feed = new TrainingFeed(dataset, { batch, seed: 2 });
    const metrics = await runSteps(trainer, feed, { to: 60, rate: 0.05 });
    const mean = (part: typeof metrics) => part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    expect(mean(metrics.slice(-8))).toBeLessThan(0.85 * mean(metrics.slice(0, 8)));

    // The loss of the trained student, worked out from the teacher's graph as it was given.
    const { tensors } = await trainer.download();
    const student = { ...mlp(5), initializers: new Map([...mlp(5).initializers, ...tensors]) };
    const next = await feed.at(60);
    const images = Float32Array.from(next.samples, (pixel) => pixel / 255);
    const logits = async (graph: typeof student) => {
      const model = await InferenceModel.compile(gpu, graph, { batch });
      const outputs = await model.run(new Map([['image', images]]));
      model.dispose();
      return [...outputs.values()][0]!;
    };
    const expected = distillationLoss(await logits(student), await logits(teacher.graph), [...next.labels], teacher);
    trainer.step(next, 60, 0);
    const [metric] = await trainer.readMetrics();
    expect(Math.abs(metric!.loss - expected)).toBeLessThan(1e-4 * expected);
    trainer.dispose();
  });

  it('leaves a student alone that says what its teacher says', async () => {
    const trainer = await createTrainer(await testGpu(), cnn(21), dataset, {
      batchNorm: 'frozen',
      teacher: { ...teacher, alpha: 1 },
    });
    const metrics = await runSteps(trainer, new TrainingFeed(dataset, { batch: 32, seed: 2 }), { to: 5, rate: 0.05 });
    for (const { loss } of metrics) expect(Math.abs(loss)).toBeLessThan(1e-5);
    const { tensors } = await trainer.download();
    for (const [name, { data }] of tensors) {
      const before = teacher.graph.initializers.get(name)!.data as Float32Array;
      for (const [i, value] of data.entries()) expect(Math.abs(Number(value) - before[i]!)).toBeLessThan(1e-5);
    }
    trainer.dispose();
  });
});

/** (1 − α)·CE + α·T²·KL(teacher/T ‖ student/T), batch mean (Hinton et al. 2015), in float64. */
function distillationLoss(
  student: Float32Array,
  teacher: Float32Array,
  labels: readonly number[],
  { temperature, alpha }: { temperature: number; alpha: number },
): number {
  const classes = student.length / labels.length;
  const logSoftmax = (row: number[]) => {
    const top = Math.max(...row);
    const norm = top + Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0));
    return row.map((value) => value - norm);
  };
  let total = 0;
  labels.forEach((label, i) => {
    const row = (logits: Float32Array, t: number) =>
      logSoftmax([...logits.subarray(i * classes, (i + 1) * classes)].map((value) => value / t));
    const soft = row(student, temperature);
    const target = row(teacher, temperature);
    const divergence = target.reduce((sum, value, c) => sum + Math.exp(value) * (value - soft[c]!), 0);
    total += -(1 - alpha) * row(student, 1)[label]! + alpha * temperature ** 2 * divergence;
  });
  return total / labels.length;
}

describe('a trainer', () => {
  it('takes what the network and the data must agree on, or says what does not fit', async () => {
    const gpu = await testGpu();
    const net = new Net(1, ['N', 4]);
    const small = net.graph(net.dense('fc', 'image', [3, 4]));
    await expect(createTrainer(gpu, small, dataset)).rejects.toThrow(InputError);
    const two = {
      ...mlp(1),
      inputs: [...mlp(1).inputs, { name: 'second', dtype: 'float32' as const, shape: ['N', 2] }],
    };
    await expect(createTrainer(gpu, two, dataset)).rejects.toThrow(/2 inputs/);
  });

  it('trains scores that lie in planes of one pixel', async () => {
    const net = new Net(2, ['N', 1, 14, 14]);
    const hidden = net.relu('relu', net.conv('conv1', 'image', [8, 1, 14, 14]));
    const graph = net.graph(net.conv('conv2', hidden, [10, 8, 1, 1])); // [N, 10, 1, 1], as SqueezeNet ends
    const trainer = await createTrainer(await testGpu(), graph, dataset);
    const metrics = await runSteps(trainer, new TrainingFeed(dataset, { batch: 32, seed: 2 }), { to: 40, rate: 0.02 });
    expect(metrics.at(-1)!.loss).toBeLessThan(0.7 * metrics[0]!.loss);
    trainer.dispose();
  });

  it('trains a network whose weights no one set', async () => {
    // All weights 0: only the last bias gets a gradient.
    const source = mlp(1);
    const graph = {
      ...source,
      initializers: new Map(
        [...source.initializers].map(([name, { shape, data }]) => [
          name,
          floatTensor(shape, new Float32Array(data.length)),
        ]),
      ),
    };
    const trainer = await createTrainer(await testGpu(), graph, dataset);
    const [first] = await runSteps(trainer, feedOf(1), { to: 1, rate: 0.1 });
    expect(first!.loss).toBeCloseTo(Math.log(10), 5);
    const { tensors } = await trainer.download();
    const moved = [...tensors].filter(([, { data }]) => (data as Float32Array).some((value) => value !== 0));
    expect(moved.map(([name]) => name)).toEqual(['fc2.bias']);
    trainer.dispose();
  });
});
