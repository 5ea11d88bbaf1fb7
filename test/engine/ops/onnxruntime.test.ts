import { describe, expect, it } from 'vitest';
import { floatTensor, int64Tensor } from '../../../src/graph/tensor.ts';
import type { Graph, Node, Tensor } from '../../../src/graph/types.ts';
import { exportOnnx } from '../../../src/onnx/export.ts';
import { runOnnxruntime } from '../../onnx/ort.ts';
import { testGpu } from '../../support/gpu.ts';
import { randomFloats, relativeError } from '../../support/numbers.ts';
import { runGraph } from '../../support/runGraph.ts';

/** One node under test: attributes, the shape of its data, and constants by input position. */
type Case = [name: string, op: string, attributes: Node['attributes'], shape: number[], constants?: Tensor[]];

const pads = (...values: number[]) => int64Tensor(values);

const random = (seed: number, ...shape: number[]) => {
  const length = shape.reduce((product, length) => product * length, 1);
  return floatTensor(shape, randomFloats(seed, length));
};

// What the ONNX node tests at hand do not cover: the oracle is onnxruntime on the same node.
const cases: Case[] = [
  ['reflect', 'Pad', { mode: 'reflect' }, [2, 3, 5], [pads(0, 2, 1, 1, 0, 4)]],
  ['edge', 'Pad', { mode: 'edge' }, [2, 3, 5], [pads(3, 0, 1, 1, 2, 7)]],
  ['wrap', 'Pad', { mode: 'wrap' }, [2, 3, 5], [pads(1, 0, 4, 2, 3, 5)]],
  ['negative', 'Pad', {}, [4, 5, 3], [pads(-1, 2, 0, 1, -3, 0), floatTensor([], [2.5])]],
  ['steps', 'Slice', {}, [7, 6, 5], [pads(6, -1, 1), pads(-9, 0, 9), pads(0, 2, 1), pads(-3, -1, 2)]],
  ['perm', 'Transpose', { perm: [3, 1, 4, 0, 2] }, [2, 3, 4, 3, 2]],
  ['matrix', 'Gather', { axis: 1 }, [3, 5, 4], [{ ...pads(4, 0, -2, 4), shape: [2, 2] }]],
  [
    'ceil, include padding',
    'AveragePool',
    { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 0, 1], ceil_mode: 1, count_include_pad: 1 },
    [2, 3, 8, 7],
  ],
  ['ceil', 'AveragePool', { kernel_shape: [3, 2], strides: [3, 3], pads: [1, 0, 1, 1], ceil_mode: 1 }, [1, 2, 9, 8]],
  ['dilated', 'AveragePool', { kernel_shape: [2, 3], dilations: [3, 2], pads: [1, 2, 1, 0] }, [1, 2, 9, 8]],
  [
    'dilated, include padding',
    'AveragePool',
    { kernel_shape: [2, 3], dilations: [3, 2], pads: [1, 2, 1, 0], strides: [2, 1], count_include_pad: 1 },
    [1, 2, 9, 8],
  ],
  ['same, lower', 'AveragePool', { kernel_shape: [4, 3], strides: [3, 2], auto_pad: 'SAME_LOWER' }, [1, 2, 8, 9]],
  ['ceil', 'MaxPool', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1 }, [2, 2, 8, 8]],
  ['dilated', 'MaxPool', { kernel_shape: [3, 2], dilations: [2, 3], pads: [2, 1, 1, 1] }, [1, 2, 9, 8]],
  [
    '3-D, ceil, dilated',
    'MaxPool',
    { kernel_shape: [3, 2, 2], strides: [2, 2, 3], dilations: [1, 3, 2], pads: [1, 1, 0, 2, 1, 1], ceil_mode: 1 },
    [2, 2, 8, 9, 7],
  ],
  [
    '3-D, ceil, include padding',
    'AveragePool',
    { kernel_shape: [3, 2, 3], strides: [2, 2, 2], pads: [1, 0, 1, 0, 1, 1], ceil_mode: 1, count_include_pad: 1 },
    [1, 2, 6, 7, 8],
  ],
  [
    '3-D, dilated',
    'AveragePool',
    { kernel_shape: [2, 3, 2], dilations: [3, 2, 1], pads: [1, 2, 1, 0, 1, 1] },
    [1, 2, 7, 8, 5],
  ],
  // As dot products.
  ['one row, transB', 'Gemm', { transB: 1 }, [1, 1024], [random(5, 9, 1024), random(6, 9)]],
  ['four rows, transB', 'Gemm', { transB: 1, alpha: 0.5, beta: 2 }, [4, 1024], [random(5, 9, 1024), random(6, 4, 1)]],
  ['few columns', 'Gemm', {}, [37, 1024], [random(5, 1024, 2), random(6, 2)]],
  ['1-D', 'MaxPool', { kernel_shape: [4], strides: [3], pads: [1, 2] }, [2, 3, 17]],
];

describe('onnxruntime agrees', () => {
  it.each(cases)('%s: %s', async (_, op, attributes, shape, constants = []) => {
    const x = floatTensor(
      shape,
      randomFloats(
        4,
        shape.reduce((product, length) => product * length, 1),
      ),
    );
    const graph: Graph = {
      name: op,
      inputs: [{ name: 'x', dtype: 'float32', shape }],
      outputs: [{ name: 'y', dtype: 'float32' }],
      nodes: [{ name: 'node', op, inputs: ['x', ...constants.map((_, i) => `c${i}`)], outputs: ['y'], attributes }],
      initializers: new Map(constants.map((tensor, i) => [`c${i}`, tensor])),
    };
    const expected = (await runOnnxruntime(exportOnnx(graph), { x })).y!;
    const inputs = { x: x.data as Float32Array<ArrayBuffer> };
    const { outputs, shapes } = await runGraph(await testGpu(), { graph, inputs });
    expect(shapes.get('y')).toEqual(expected.shape);
    expect(relativeError(outputs.y!, expected.data as Float32Array)).toBeLessThan(1e-6);
  });
});
