import { lenet5 } from '../../examples/lenet/lenet5.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph, Node, Tensor } from '../../src/graph/types.ts';
import { kaimingUniform, zeros } from '../../src/train/initialise.ts';

const SEED = 1;
const CLASSES = 10;

/** Adds layers to a graph, one after the other; every method returns the name of the value that it makes. */
class Network {
  readonly graph: Graph;

  constructor(name: string, sample: readonly number[]) {
    this.graph = {
      name,
      inputs: [{ name: 'image', dtype: 'float32', shape: ['N', ...sample] }],
      outputs: [{ name: 'logits', dtype: 'float32', shape: ['N', CLASSES] }],
      nodes: [],
      initializers: new Map<string, Tensor>(),
    };
  }

  add(name: string, op: string, inputs: string[], attributes: Node['attributes'] = {}): string {
    this.graph.nodes.push({ name, op, inputs, outputs: [name], attributes });
    return name;
  }

  weights(name: string, shape: number[]): string {
    const { initializers } = this.graph;
    const fanIn = shape.slice(1).reduce((product, length) => product * length, 1);
    initializers.set(name, kaimingUniform(shape, fanIn, SEED, initializers.size));
    return name;
  }

  constant(name: string, tensor: Tensor): string {
    this.graph.initializers.set(name, tensor);
    return name;
  }

  conv(
    name: string,
    x: string,
    [oc, ic, size]: [number, number, number],
    options: { stride?: number; bias?: boolean },
  ) {
    const { stride = 1, bias = false } = options;
    const pad = size >> 1;
    const inputs = [x, this.weights(`${name}.weight`, [oc, ic, size, size])];
    if (bias) inputs.push(this.constant(`${name}.bias`, zeros([oc])));
    return this.add(name, 'Conv', inputs, {
      kernel_shape: [size, size],
      pads: [pad, pad, pad, pad],
      strides: [stride, stride],
    });
  }

  batchNorm(name: string, x: string, channels: number) {
    const ones = () => floatTensor([channels], new Float32Array(channels).fill(1));
    const inputs = [
      x,
      this.constant(`${name}.scale`, ones()),
      this.constant(`${name}.shift`, zeros([channels])),
      this.constant(`${name}.mean`, zeros([channels])),
      this.constant(`${name}.variance`, ones()),
    ];
    return this.add(name, 'BatchNormalization', inputs, { epsilon: 1e-5, momentum: 0.9 });
  }

  relu = (name: string, x: string) => this.add(name, 'Relu', [x]);

  pool = (name: string, x: string) => this.add(name, 'MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] });

  flatten = (name: string, x: string) => this.add(name, 'Flatten', [x], { axis: 1 });

  dense(name: string, x: string, [outputs, inputs]: [number, number]) {
    const operands = [
      x,
      this.weights(`${name}.weight`, [outputs, inputs]),
      this.constant(`${name}.bias`, zeros([outputs])),
    ];
    return this.add(name, 'Gemm', operands, { transB: 1 });
  }
}

/** 784-128-10 with a rectifier. */
function mlp(): Graph {
  const net = new Network('MLP 784-128-10', [1, 28, 28]);
  const x = net.dense('hidden', net.flatten('flat', 'image'), [128, 784]);
  net.dense('logits', net.relu('relu', x), [CLASSES, 128]);
  return net.graph;
}

/** Two 3×3 convolutions of 16 and 32 channels, each with a rectifier and a pooling, and a dense layer. */
function cnn(): Graph {
  const net = new Network('CNN 16-32', [1, 28, 28]);
  let x = net.pool('pool1', net.relu('relu1', net.conv('conv1', 'image', [16, 1, 3], { bias: true })));
  x = net.pool('pool2', net.relu('relu2', net.conv('conv2', x, [32, 16, 3], { bias: true })));
  net.dense('logits', net.flatten('flat', x), [CLASSES, 32 * 7 * 7]);
  return net.graph;
}

/** ResNet-20 for 32×32 images (He et al. 2016, section 4.2), with projections as shortcuts where the size changes. */
function resnet20(): Graph {
  const net = new Network('ResNet-20', [3, 32, 32]);
  const convNorm = (name: string, x: string, [oc, ic, size]: [number, number, number], stride: number) =>
    net.batchNorm(`${name}.norm`, net.conv(name, x, [oc, ic, size], { stride }), oc);
  let x = net.relu('stem.relu', convNorm('stem', 'image', [16, 3, 3], 1));
  let channels = 16;
  for (const [stage, width] of [16, 32, 64].entries()) {
    for (let block = 0; block < 3; block++) {
      const name = `stage${stage + 1}.${block + 1}`;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const inner = net.relu(`${name}.relu1`, convNorm(`${name}.conv1`, x, [width, channels, 3], stride));
      const branch = convNorm(`${name}.conv2`, inner, [width, width, 3], 1);
      const shortcut = stride === 1 ? x : convNorm(`${name}.shortcut`, x, [width, channels, 1], stride);
      x = net.relu(`${name}.relu2`, net.add(`${name}.sum`, 'Add', [branch, shortcut]));
      channels = width;
    }
  }
  const pooled = net.flatten('flat', net.add('mean', 'GlobalAveragePool', [x]));
  net.dense('logits', pooled, [CLASSES, 64]);
  return net.graph;
}

export interface TrainingProblem {
  graph: Graph;
  batch: number;
  sample: [number, number, number];
  /** Steps in a block: long enough for the clock, short enough for a software adapter. */
  steps: number;
}

export const problems: readonly TrainingProblem[] = [
  { graph: mlp(), batch: 64, sample: [1, 28, 28], steps: 20 },
  { graph: cnn(), batch: 64, sample: [1, 28, 28], steps: 10 },
  { graph: lenet5(SEED), batch: 128, sample: [1, 28, 28], steps: 10 },
  { graph: resnet20(), batch: 32, sample: [3, 32, 32], steps: 4 },
];

export { CLASSES };
