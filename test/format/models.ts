import type { WeightEncoding } from '../../src/format/encodedTensor.ts';
import { floatTensor, int64Tensor } from '../../src/graph/tensor.ts';
import type { Graph, Node, Tensor } from '../../src/graph/types.ts';

/** Deterministic generator (mulberry32) of numbers in [0, 1). */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A one-node graph around the given initializers; nothing runs it. */
export function graphOf(initializers: Record<string, Tensor>): Graph {
  const names = Object.keys(initializers);
  return {
    name: 'test',
    inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 4] }],
    outputs: [{ name: 'y', dtype: 'float32' }],
    nodes: [{ name: 'only', op: 'Test', inputs: ['x', ...names], outputs: ['y'], attributes: {} }],
    initializers: new Map(Object.entries(initializers)),
  };
}

/** Weights on the signed grid of `bits` bits, one scale per first-axis index, a `sparsity` share of them zero. */
export function onGrid(shape: number[], bits: number, sparsity: number, random: () => number) {
  const count = shape.reduce((a, b) => a * b, 1);
  const scale = Float32Array.from({ length: shape[0]! }, () => Math.fround(0.01 + 0.1 * random()));
  const inner = count / shape[0]!;
  const weights = Float32Array.from({ length: count }, (_, i) => {
    if (random() < sparsity) return 0;
    const level = Math.max(1, Math.ceil(random() * (2 ** (bits - 1) - 1)));
    return scale[Math.floor(i / inner)]! * (random() < 0.5 ? -level : level);
  });
  return { tensor: floatTensor(shape, weights), encoding: { kind: 'int', bits, scale, axis: 0 } as WeightEncoding };
}

/** LeNet-5 (61,706 parameters) as an exporter would name it, pruned and quantized at random. */
export function lenet(sparsity: number, bits: number) {
  const random = randomSource(5);
  const initializers = new Map<string, Tensor>();
  const encodings = new Map<string, WeightEncoding>();
  const shapes: [string, number[]][] = [
    ['conv1', [6, 1, 5, 5]],
    ['conv2', [16, 6, 5, 5]],
    ['fc1', [120, 400]],
    ['fc2', [84, 120]],
    ['fc3', [10, 84]],
  ];
  for (const [name, shape] of shapes) {
    const { tensor, encoding } = onGrid(shape, bits, sparsity, random);
    initializers.set(`${name}.weight`, tensor);
    encodings.set(`${name}.weight`, encoding);
    initializers.set(
      `${name}.bias`,
      floatTensor(
        [shape[0]!],
        Array.from({ length: shape[0]! }, () => random() - 0.5),
      ),
    );
    encodings.set(`${name}.bias`, { kind: 'f16' });
  }
  initializers.set('flat_shape', int64Tensor([-1, 400]));
  const conv = { dilations: [1, 1], group: 1, kernel_shape: [5, 5], strides: [1, 1] };
  const pool = { ceil_mode: 0, kernel_shape: [2, 2], pads: [0, 0, 0, 0], strides: [2, 2] };
  const gemm = { alpha: 1, beta: 1, transB: 1 };
  const node = (op: string, name: string, inputs: string[], attributes: Node['attributes'] = {}): Node => {
    return { name: `/${name}/${op}`, op, inputs, outputs: [`/${name}/${op}_output_0`], attributes };
  };
  const nodes = [
    node('Conv', 'conv1', ['image', 'conv1.weight', 'conv1.bias'], { ...conv, pads: [2, 2, 2, 2] }),
    node('Relu', 'relu1', ['/conv1/Conv_output_0']),
    node('MaxPool', 'pool1', ['/relu1/Relu_output_0'], pool),
    node('Conv', 'conv2', ['/pool1/MaxPool_output_0', 'conv2.weight', 'conv2.bias'], { ...conv, pads: [0, 0, 0, 0] }),
    node('Relu', 'relu2', ['/conv2/Conv_output_0']),
    node('MaxPool', 'pool2', ['/relu2/Relu_output_0'], pool),
    node('Reshape', 'flat', ['/pool2/MaxPool_output_0', 'flat_shape'], { allowzero: 0 }),
    node('Gemm', 'fc1', ['/flat/Reshape_output_0', 'fc1.weight', 'fc1.bias'], gemm),
    node('Relu', 'relu3', ['/fc1/Gemm_output_0']),
    node('Gemm', 'fc2', ['/relu3/Relu_output_0', 'fc2.weight', 'fc2.bias'], gemm),
    node('Relu', 'relu4', ['/fc2/Gemm_output_0']),
    node('Gemm', 'fc3', ['/relu4/Relu_output_0', 'fc3.weight', 'fc3.bias'], gemm),
  ];
  const graph: Graph = {
    name: 'lenet5',
    inputs: [{ name: 'image', dtype: 'float32', shape: ['batch', 1, 28, 28] }],
    outputs: [{ name: '/fc3/Gemm_output_0', dtype: 'float32', shape: ['batch', 10] }],
    nodes,
    initializers,
  };
  const meta = {
    preprocess: { scale: 1 / 255, mean: [0.1307], std: [0.3081] },
    classNames: Array.from('0123456789'),
    originalBytes: 246_824,
    recipe: 'lenet5',
  };
  return { graph, encodings, meta };
}
