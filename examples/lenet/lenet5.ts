import type { Graph, Node, Tensor } from '../../src/graph/types.ts';
import { kaimingUniform, zeros } from '../../src/train/initialise.ts';

/**
 * LeNet-5 (LeCun et al. 1998) in today's form: rectifiers and max pooling, 61,706 parameters. Input [N, 1, 28, 28],
 * output logits [N, 10].
 */
export function lenet5(seed: number): Graph {
  const initializers = new Map<string, Tensor>();
  const nodes: Node[] = [];
  const add = (name: string, op: string, inputs: string[], attributes: Node['attributes'] = {}) => {
    nodes.push({ name, op, inputs, outputs: [name], attributes });
    return name;
  };
  const weights = (name: string, shape: number[]) => {
    const fanIn = shape.slice(1).reduce((product, length) => product * length, 1);
    initializers.set(`${name}.weight`, kaimingUniform(shape, fanIn, seed, initializers.size));
    initializers.set(`${name}.bias`, zeros([shape[0]]));
    return [`${name}.weight`, `${name}.bias`];
  };
  const conv = (name: string, x: string, shape: number[], padding: number) =>
    add(name, 'Conv', [x, ...weights(name, shape)], {
      kernel_shape: [5, 5],
      pads: [padding, padding, padding, padding],
      strides: [1, 1],
    });
  const dense = (name: string, x: string, shape: number[]) =>
    add(name, 'Gemm', [x, ...weights(name, shape)], { transB: 1 });
  const relu = (name: string, x: string) => add(name, 'Relu', [x]);
  const pool = (name: string, x: string) => add(name, 'MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] });

  let x = pool('pool1', relu('relu1', conv('conv1', 'image', [6, 1, 5, 5], 2)));
  x = pool('pool2', relu('relu2', conv('conv2', x, [16, 6, 5, 5], 0)));
  x = add('flatten', 'Flatten', [x], { axis: 1 });
  x = relu('relu3', dense('fc1', x, [120, 400]));
  x = relu('relu4', dense('fc2', x, [84, 120]));
  dense('logits', x, [10, 84]);
  return {
    name: 'LeNet-5',
    inputs: [{ name: 'image', dtype: 'float32', shape: ['N', 1, 28, 28] }],
    outputs: [{ name: 'logits', dtype: 'float32', shape: ['N', 10] }],
    nodes,
    initializers,
  };
}
