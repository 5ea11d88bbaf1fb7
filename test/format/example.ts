import type { WeightEncoding } from '../../src/format/encodedTensor.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';

/** The model of the worked example in docs/format.md. */
export function exampleModel() {
  const sparse = new Float32Array(12);
  sparse[2] = -0.375;
  sparse[10] = 0.75;
  const graph: Graph = {
    name: 'example',
    inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 4] }],
    outputs: [{ name: 'z', dtype: 'float32' }],
    nodes: [
      { name: 'Gemm_0', op: 'Gemm', inputs: ['x', 'W', 'b'], outputs: ['y'], attributes: { transB: 1 } },
      { name: 'Mul_1', op: 'Mul', inputs: ['y', 'v'], outputs: ['z'], attributes: {} },
    ],
    initializers: new Map([
      ['W', floatTensor([2, 4], [0.5, -1, 1.5, -2, 0, 0.25, -0.25, 0.5])],
      ['b', floatTensor([2], [1, -0.5])],
      ['v', floatTensor([6, 2], sparse)],
    ]),
  };
  const encodings = new Map<string, WeightEncoding>([
    ['W', { kind: 'int', bits: 3, scale: Float32Array.of(0.5, 0.25), axis: 0 }],
    ['b', { kind: 'f16' }],
    ['v', { kind: 'int', bits: 4, scale: Float32Array.of(0.375), layout: 'gap' }],
  ]);
  return { graph, encodings, meta: { classNames: ['cat', 'dog'] } };
}
