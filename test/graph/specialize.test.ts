import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generalizeBatch } from '../../src/graph/batch.ts';
import { foldNode } from '../../src/graph/fold/fold.ts';
import { inspectGraph } from '../../src/graph/inspect.ts';
import { foldBatchNorm } from '../../src/graph/passes/foldBatchNorm.ts';
import { inferShapeOfOperator } from '../../src/graph/shapes.ts';
import { specialize } from '../../src/graph/specialize.ts';
import { floatTensor, int64Tensor } from '../../src/graph/tensor.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import { refuseUnsupported } from '../../src/graph/unsupported.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import { generator, type NodeSketch, randomTensor, sketchGraph } from '../onnx/build.ts';
import { runOnnxruntime } from '../onnx/ort.ts';

const models = join(process.env.WGSLIM_DATA ?? '../shared/data', 'models');
const random = generator(21);
const lookup = inferShapeOfOperator;

function expectClose(actual: Tensor, expected: Tensor, tolerance = 1e-5): void {
  expect(actual.shape).toEqual(expected.shape);
  const [a, b] = [actual.data as Float32Array, expected.data as Float32Array];
  const scale = b.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  let worst = 0;
  for (let index = 0; index < b.length; index++) worst = Math.max(worst, Math.abs(a[index]! - b[index]!));
  expect(worst).toBeLessThanOrEqual(tolerance * scale);
}

function rows(tensor: Tensor, from: number, count: number): Tensor {
  const size = tensor.data.length / tensor.shape[0]!;
  const data = (tensor.data as Float32Array).slice(from * size, (from + count) * size);
  return floatTensor([count, ...tensor.shape.slice(1)], data);
}

/** A model made for a batch of 1, run at a batch of 5, must give row by row what the original gives. */
async function expectSameAtAnyBatch(graph: Graph, original: Uint8Array, sample: number[]): Promise<void> {
  const [input, output] = [graph.inputs[0]!.name, graph.outputs[0]!.name];
  const x = randomTensor([5, ...sample], random);
  const together = (await runOnnxruntime(exportOnnx(specialize(graph, lookup, { batch: 5 }).graph), { [input]: x }))[
    output
  ]!;
  expect(together.shape[0]).toBe(5);
  for (let row = 0; row < 5; row++) {
    const alone = (await runOnnxruntime(original, { [input]: rows(x, row, 1) }))[output]!;
    expect(rows(together, row, 1).data.length).toBe(alone.data.length);
    expectClose({ ...rows(together, row, 1), shape: alone.shape }, alone);
  }
}

describe('a model exported for a batch of 1 runs at any batch', () => {
  const fixed = (nodes: NodeSketch[], initializers: Record<string, Tensor> = {}): Graph =>
    sketchGraph({ inputs: { x: [1, 2, 3, 4] }, outputs: ['y'], nodes, initializers });
  it.each<[string, Graph]>([
    ['a Reshape that spells out 1', fixed([['Reshape', ['x', 's'], ['y']]], { s: int64Tensor([1, 24]) })],
    ['a Reshape with -1 elsewhere', fixed([['Reshape', ['x', 's'], ['y']]], { s: int64Tensor([1, 4, -1]) })],
    ['a Reshape with a kept dimension', fixed([['Reshape', ['x', 's'], ['y']]], { s: int64Tensor([1, 0, -1]) })],
    [
      'a channel shuffle',
      fixed(
        [
          ['Reshape', ['x', 's'], ['a']],
          ['Transpose', ['a'], ['b'], { perm: [0, 2, 1, 3] }],
          ['Reshape', ['b', 't'], ['y']],
        ],
        { s: int64Tensor([1, 4, 2, 3]), t: int64Tensor([1, 2, 3, 4]) },
      ),
    ],
    [
      'a target shared by two nodes',
      fixed(
        [
          ['Reshape', ['x', 's'], ['a']],
          ['Relu', ['x'], ['r']],
          ['Reshape', ['r', 's'], ['b']],
          ['Add', ['a', 'b'], ['y']],
        ],
        { s: int64Tensor([1, 6, 4]) },
      ),
    ],
    [
      'a Reshape of a weight, which is left alone',
      fixed(
        [
          ['Reshape', ['w', 's'], ['v']],
          ['Add', ['x', 'v'], ['y']],
        ],
        { w: randomTensor([12], random), s: int64Tensor([1, 1, 3, 4]) },
      ),
    ],
    [
      'a target computed from the shape',
      fixed(
        [
          ['Shape', ['x'], ['s'], { end: 1 }],
          ['Concat', ['s', 'm'], ['t'], { axis: 0 }],
          ['Reshape', ['x', 't'], ['y']],
        ],
        { m: int64Tensor([-1]) },
      ),
    ],
    ['Flatten from axis 0', fixed([['Flatten', ['x'], ['y'], { axis: 0 }]])],
    [
      'Squeeze of the batch before the output',
      fixed([
        ['GlobalAveragePool', ['x'], ['a']],
        ['Squeeze', ['a'], ['y']],
      ]),
    ],
    [
      'Squeeze of named axes',
      fixed(
        [
          ['GlobalAveragePool', ['x'], ['a']],
          ['Squeeze', ['a', 'axes'], ['y']],
        ],
        { axes: int64Tensor([2, 3]) },
      ),
    ],
  ])('%s', async (_, graph) => {
    await expectSameAtAnyBatch(graph, exportOnnx(graph), [2, 3, 4]);
  });

  it.each<[string, Graph, RegExp]>([
    [
      'a mean over the batch',
      fixed([['ReduceMean', ['x', 'a'], ['y']]], { a: int64Tensor([0]) }),
      /output 'y'.*batch of 1 only/,
    ],
    [
      'a batch that moves into another axis',
      fixed([['Transpose', ['x'], ['y'], { perm: [1, 0, 2, 3] }]]),
      /output 'y'/,
    ],
    [
      'a squeezed batch that goes on',
      fixed([
        ['Squeeze', ['x'], ['a']],
        ['Relu', ['a'], ['y']],
      ]),
      /'Squeeze_0' \(Squeeze\) squeezes the batch/,
    ],
    [
      'a slice of the batch',
      fixed([['Slice', ['x', 's', 'e'], ['y']]], { s: int64Tensor([0]), e: int64Tensor([1]) }),
      /output 'y'/,
    ],
  ])('refuses %s', (_, graph, message) => {
    expect(() => specialize(graph, lookup, { batch: 3 })).toThrow(message);
  });

  it('generalizeBatch makes the batch symbolic and leaves the original alone', () => {
    const graph = fixed([['Reshape', ['x', 's'], ['y']]], { s: int64Tensor([1, 24]) });
    const before = structuredClone(graph);
    const general = generalizeBatch(graph, { infer: lookup, fold: foldNode });
    expect(general.inputs[0]!.shape).toEqual(['batch', 2, 3, 4]);
    expect(general.outputs[0]!.shape).toEqual(['batch', 24]);
    expect(graph).toEqual(before);
  });
});

describe('specialize', () => {
  it('folds what only computes shapes, and drops what does nothing', () => {
    const graph = sketchGraph({
      inputs: { x: ['n', 6] },
      outputs: ['y', 's'],
      nodes: [
        ['Shape', ['x'], ['s']],
        ['Reshape', ['x', 's'], ['a']],
        ['Transpose', ['w'], ['wt']],
        ['Cast', ['a'], ['c'], { to: 'float32' }],
        ['MatMul', ['c', 'wt'], ['b']],
        ['Identity', ['b'], ['y']],
        ['Relu', ['b'], ['unused']],
      ],
      initializers: { w: randomTensor([3, 6], random) },
      outputTypes: { s: 'int64' },
    });
    const { graph: fixed, shapes } = specialize(graph, lookup, { batch: 4 });
    expect(fixed.nodes).toMatchObject([{ op: 'MatMul', inputs: ['x', 'wt'], outputs: ['y'] }]);
    expect([...fixed.initializers.keys()].sort()).toEqual(['s', 'wt']);
    expect(fixed.initializers.get('s')).toEqual(int64Tensor([4, 6]));
    expect(fixed.outputs).toMatchObject([
      { name: 'y', shape: [4, 3] },
      { name: 's', shape: [2] },
    ]);
    expect(Object.fromEntries(shapes)).toEqual({ x: [4, 6], wt: [6, 3], y: [4, 3], s: [2] });
  });

  it('takes pixels that are only cast to float as float32', () => {
    const nodes: NodeSketch[] = [
      ['Cast', ['x'], ['f'], { to: 'float32' }],
      ['Relu', ['f'], ['y']],
    ];
    const graph = sketchGraph({ inputs: { x: { dtype: 'uint8', shape: [2] } }, outputs: ['y'], nodes });
    const { graph: fixed } = specialize(graph, lookup);
    expect(fixed.inputs[0]!.dtype).toBe('float32');
    expect(fixed.nodes).toMatchObject([{ op: 'Relu', inputs: ['x'], outputs: ['y'] }]);
    const other = sketchGraph({
      inputs: { x: { dtype: 'uint8', shape: [2] } },
      outputs: ['y', 'z'],
      nodes: [...nodes, ['Add', ['x', 'x'], ['z']]],
    });
    expect(specialize(other, lookup).graph.inputs[0]!.dtype).toBe('uint8');
  });

  it('takes shapes of inputs whose other dimensions are symbolic', () => {
    const graph = sketchGraph({ inputs: { x: ['n', 3, 'h', 'w'] }, outputs: ['y'], nodes: [['Relu', ['x'], ['y']]] });
    expect(specialize(graph, lookup, { inputShapes: { x: [2, 3, 5, 7] } }).shapes.get('y')).toEqual([2, 3, 5, 7]);
    expect(() => specialize(graph, lookup, { batch: 2 })).toThrow(/symbolic dimension 'h'/);
    expect(() => specialize(graph, lookup, { inputShapes: { x: [2, 4, 5, 7] } })).toThrow(/is asked/);
    expect(() => specialize(graph, lookup, { inputShapes: { z: [2] } })).toThrow(/'z', which is no input/);
  });

  it('refuseUnsupported names node and operator, or the type that is not float32', () => {
    const graph = sketchGraph({ inputs: { x: [2] }, outputs: ['y'], nodes: [['Einsum', ['x'], ['y']]] });
    expect(() => refuseUnsupported(specialize(graph, lookup).graph, new Set(['Relu']))).toThrow(
      "node 'Einsum_0' (Einsum): the operator Einsum is not supported",
    );
    const ints = sketchGraph({
      inputs: { x: { dtype: 'int32', shape: [2] } },
      outputs: ['y'],
      nodes: [['Relu', ['x'], ['y']]],
    });
    expect(() => refuseUnsupported(ints, new Set(['Relu']))).toThrow(/computes in int32/);
  });
});

describe('foldBatchNorm', () => {
  it('changes no result', async () => {
    const norm = (name: string, channels: number): Record<string, Tensor> => ({
      [`${name}s`]: randomTensor([channels], random),
      [`${name}b`]: randomTensor([channels], random),
      [`${name}m`]: randomTensor([channels], random),
      [`${name}v`]: floatTensor(
        [channels],
        Float32Array.from({ length: channels }, () => random() + 0.1),
      ),
    });
    const graph = sketchGraph({
      inputs: { x: [2, 4, 6, 6] },
      outputs: ['y', 'kept'],
      nodes: [
        ['Conv', ['x', 'w', 'c'], ['a'], { group: 2, pads: [1, 1, 1, 1] }],
        ['BatchNormalization', ['a', 'ps', 'pb', 'pm', 'pv'], ['b'], { epsilon: 0.001 }],
        // The same weights once more, without a bias.
        ['Conv', ['b', 'w'], ['d'], { group: 2, pads: [1, 1, 1, 1] }],
        ['BatchNormalization', ['d', 'qs', 'qb', 'qm', 'qv'], ['y']],
        // Read by two, so it must stay.
        ['Conv', ['x', 'w'], ['kept'], { group: 2 }],
        ['BatchNormalization', ['kept', 'qs', 'qb', 'qm', 'qv'], ['e']],
      ],
      initializers: {
        w: randomTensor([4, 2, 3, 3], random),
        c: randomTensor([4], random),
        ...norm('p', 4),
        ...norm('q', 4),
      },
    });
    graph.outputs.push({ name: 'e', dtype: 'float32' });
    const folded = foldBatchNorm(graph);
    expect(folded.nodes.map(({ op }) => op)).toEqual(['Conv', 'Conv', 'Conv', 'BatchNormalization']);
    const x = randomTensor([2, 4, 6, 6], random);
    const [before, after] = [
      await runOnnxruntime(exportOnnx(graph), { x }),
      await runOnnxruntime(exportOnnx(folded), { x }),
    ];
    for (const name of ['y', 'kept', 'e']) expectClose(after[name]!, before[name]!);
  });
});

describe.skipIf(!existsSync(models))(`real models (skipped without ${models})`, () => {
  // Parameters as the papers and PyTorch count them (running statistics are none); multiply-accumulates per image.
  it.each([
    ['mnist-cntk', [1, 28, 28], 5994, 786_560],
    ['mobilenet-v1-0.25-128-imagenet', [3, 128, 128], 467_593, 13_570_304],
    ['resnet20-cifar10', [3, 32, 32], 269_722, 40_551_040],
    ['resnet56-cifar10', [3, 32, 32], 853_018, 125_485_696],
    ['squeezenet1.1-imagenet', [3, 227, 227], 1_235_496, 418_467_520],
  ] as const)(
    '%s',
    async (name, sample, parameters, macs) => {
      const path = join(models, `${name}.onnx`);
      const graph = await readOnnxFile(path);
      const layers = inspectGraph(graph, lookup);
      const sum = (field: 'parameters' | 'macs'): number => layers.reduce((total, layer) => total + layer[field], 0);
      expect([sum('parameters'), sum('macs')]).toEqual([parameters, macs]);

      const input = graph.inputs[0]!.name;
      const output = graph.outputs[0]!.name;
      const x = randomTensor([2, ...sample], random);
      const original = readFileSync(path);
      const expected = await Promise.all(
        [0, 1].map(async (row) => (await runOnnxruntime(original, { [input]: rows(x, row, 1) }))[output]!),
      );
      for (const variant of [graph, foldBatchNorm(graph)]) {
        const { graph: fixed } = specialize(variant, lookup, { batch: 2 });
        const actual = (await runOnnxruntime(exportOnnx(fixed), { [input]: x }))[output]!;
        for (const row of [0, 1]) expectClose(rows(actual, row, 1), expected[row]!);
      }
    },
    60_000,
  );
});
