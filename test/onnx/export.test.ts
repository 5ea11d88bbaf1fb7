import { describe, expect, it } from 'vitest';
import { int64Tensor } from '../../src/graph/tensor.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { importOnnx } from '../../src/onnx/import.ts';
import { generator, randomTensor, sketchGraph } from './build.ts';
import { runOnnxruntime } from './ort.ts';

/** A LeNet-like network with most kinds of attributes. */
function network() {
  const random = generator(7);
  return sketchGraph({
    inputs: { x: ['batch', 1, 12, 12] },
    outputs: ['p'],
    nodes: [
      [
        'Conv',
        ['x', 'w1', 'b1'],
        ['c1'],
        { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1], dilations: [1, 1], group: 1 },
      ],
      ['LeakyRelu', ['c1'], ['r1'], { alpha: 1 }],
      ['MaxPool', ['r1'], ['m1'], { kernel_shape: [2, 2], strides: [2, 2], auto_pad: 'VALID' }],
      ['Flatten', ['m1'], ['f'], { axis: 1 }],
      ['Gemm', ['f', 'w2', 'b2'], ['g'], { alpha: 2, beta: 0.5, transB: 1 }],
      ['Reshape', ['g', 's'], ['h']],
      ['Softmax', ['h'], ['p'], { axis: -1 }],
    ],
    initializers: {
      w1: randomTensor([4, 1, 3, 3], random),
      b1: randomTensor([4], random),
      w2: randomTensor([10, 144], random),
      b2: randomTensor([10], random),
      s: int64Tensor([0, 2, 5]),
    },
  });
}

describe('exportOnnx', () => {
  it('comes back from import unchanged', () => {
    const graph = network();
    const again = importOnnx(exportOnnx(graph), { fileName: 'again.onnx' });
    expect(again).toEqual(graph);
  });

  it('gives the same bytes every time, also for what it read back', () => {
    const bytes = exportOnnx(network());
    expect(exportOnnx(network())).toEqual(bytes);
    expect(exportOnnx(importOnnx(bytes, { fileName: 'm.onnx' }))).toEqual(bytes);
  });

  it('runs in onnxruntime at any batch', async () => {
    const random = generator(8);
    const { p } = await runOnnxruntime(exportOnnx(network()), { x: randomTensor([3, 1, 12, 12], random) });
    expect(p!.shape).toEqual([3, 2, 5]);
    const sums = Array.from({ length: 6 }, (_, row) =>
      (p!.data as Float32Array).slice(5 * row, 5 * row + 5).reduce((sum, value) => sum + value, 0),
    );
    for (const sum of sums) expect(sum).toBeCloseTo(1, 5);
  });

  it('refuses our own operators', () => {
    const graph = sketchGraph({ inputs: { x: [2] }, outputs: ['y'], nodes: [['wgslim.FakeQuantize', ['x'], ['y']]] });
    expect(() => exportOnnx(graph)).toThrow(/wgslim\.FakeQuantize.*has no ONNX form/);
  });
});
