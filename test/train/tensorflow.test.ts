/** Whole training runs against TensorFlow.js: its gradients, and its own optimizers. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import type { Dataset } from '../../src/train/data/dataset.ts';
import { TrainingFeed } from '../../src/train/feed.ts';
import type { OptimizerConfig } from '../../src/train/optimizer.ts';
import { testGpu } from '../support/gpu.ts';
import { relativeError } from '../support/numbers.ts';
import { tensorflowGradients } from '../support/tensorflow.ts';
import { ADAM, cnn, createTrainer, digits, mlp, SGD } from './problems.ts';

const BATCH = 8;
const STEPS = 5;

let dataset: Dataset;
beforeAll(async () => {
  dataset = await digits({ count: 100, first: 500 });
});

function optimizerOf(config: OptimizerConfig, rate: number): tf.Optimizer {
  return config.kind === 'sgd'
    ? tf.train.momentum(rate, config.momentum, config.nesterov)
    : tf.train.adam(rate, config.beta1, config.beta2, config.epsilon);
}

/** The weights after each step's gradient (plus decay of what has two or more dimensions) went through the optimizer. */
async function trainInTensorflow(source: Graph, config: OptimizerConfig, rates: (step: number) => number) {
  const output = source.outputs[0]!.name;
  const graph: Graph = {
    ...source,
    inputs: [{ ...source.inputs[0]!, shape: [BATCH, 1, 14, 14] }],
    nodes: [
      ...source.nodes,
      { name: 'log', op: 'LogSoftmax', inputs: [output], outputs: ['log'], attributes: { axis: -1 } },
    ],
    outputs: [{ name: 'log', dtype: 'float32' }],
    initializers: new Map(source.initializers),
  };
  const wanted = [...graph.initializers.keys()].filter((name) => !/mean|variance/.test(name));
  const optimizer = optimizerOf(config, rates(0));
  const variables = new Map(
    wanted.map((name) => {
      const { shape, data } = graph.initializers.get(name)!;
      return [name, tf.variable(tf.tensor(data as Float32Array, [...shape]), true)];
    }),
  );
  const feed = new TrainingFeed(dataset, { batch: BATCH, seed: 4 });
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const { samples, labels } = await feed.at(step);
    const { loss, gradients } = await tensorflowGradients({
      graph,
      inputs: { image: Float32Array.from(samples, (pixel) => pixel / 255) },
      training: true,
      labels: [...labels],
      wanted,
    });
    losses.push(loss);
    const setting = optimizer as unknown as { learningRate: number; setLearningRate?(rate: number): void };
    if (setting.setLearningRate) setting.setLearningRate(rates(step));
    else setting.learningRate = rates(step);
    optimizer.applyGradients(
      wanted.map((name) => {
        const { shape, data } = graph.initializers.get(name)!;
        const decay = shape.length >= 2 ? config.weightDecay : 0;
        const gradient = gradients[name]!.map((g, i) => g + decay * (data as Float32Array)[i]!);
        return { name: variables.get(name)!.name, tensor: tf.tensor(gradient, [...shape]) };
      }),
    );
    for (const name of wanted) {
      const { shape } = graph.initializers.get(name)!;
      graph.initializers.set(name, floatTensor(shape, Float32Array.from(await variables.get(name)!.data())));
    }
  }
  return { losses, weights: new Map(wanted.map((name) => [name, graph.initializers.get(name) as Tensor])) };
}

describe('training agrees with TensorFlow.js', () => {
  it.each<[string, Graph, OptimizerConfig]>([
    ['a convolutional net by SGD with momentum', cnn(31, { norm: false }), SGD],
    ['normalisation by Nesterov’s momentum with decay', cnn(32), { ...SGD, nesterov: true, weightDecay: 0.05 }],
    ['a dense net by Adam', mlp(33), ADAM],
    ['normalisation by Adam with decay', cnn(34), { ...ADAM, weightDecay: 0.01 }],
  ])('%s', async (_, graph, config) => {
    const rates = (step: number) => (config.kind === 'sgd' ? 0.05 : 2e-3) / (1 + step / 4);
    const expected = await trainInTensorflow(graph, config, rates);
    const trainer = await createTrainer(await testGpu(), graph, dataset, { batch: BATCH, optimizer: config });
    const feed = new TrainingFeed(dataset, { batch: BATCH, seed: 4 });
    for (let step = 0; step < STEPS; step++) trainer.step(await feed.at(step), step, rates(step));
    const metrics = await trainer.readMetrics();
    const { tensors } = await trainer.download();
    trainer.dispose();
    metrics.forEach(({ loss }, step) => {
      expect(Math.abs(loss - expected.losses[step]!)).toBeLessThan(1e-4 * expected.losses[step]!);
    });
    // A bias in front of normalisation has no gradient but rounding errors, which Adam blows up to whole steps.
    const names = [...expected.weights.keys()].filter(
      (name) => !(graph.nodes[1]!.name === 'norm1' && name === 'conv1.bias'),
    );
    expect(names.length).toBeGreaterThanOrEqual(4);
    for (const name of names) {
      const moved = relativeError(
        expected.weights.get(name)!.data as Float32Array,
        graph.initializers.get(name)!.data as Float32Array,
      );
      expect(moved).toBeGreaterThan(1e-3);
      expect(
        relativeError(tensors.get(name)!.data as Float32Array, expected.weights.get(name)!.data as Float32Array),
      ).toBeLessThan(1e-4);
    }
  });
});
