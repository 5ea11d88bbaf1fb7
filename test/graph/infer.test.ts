import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/graph/errors.ts';
import { convGeometry } from '../../src/graph/infer/conv.ts';
import { poolGeometries } from '../../src/graph/infer/pool.ts';
import { inferShapeOfOperator, inferShapes } from '../../src/graph/shapes.ts';
import { floatTensor, int64Tensor } from '../../src/graph/tensor.ts';
import type { Attribute, Graph, Node, Tensor } from '../../src/graph/types.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { generator, type NodeSketch, randomTensor, sketchGraph } from '../onnx/build.ts';
import { runOnnxruntime } from '../onnx/ort.ts';

const random = generator(11);
const integer = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
const pick = <T>(items: readonly T[]): T => items[integer(0, items.length - 1)]!;

function inferOutput(graph: Graph, inputs: Record<string, Tensor>): number[] {
  const shapes = new Map(Object.entries(inputs).map(([name, { shape }]) => [name, shape]));
  return inferShapes(graph, inferShapeOfOperator, shapes).get('y')!;
}

/** Our shape must be that of the tensor which onnxruntime computes; what it refuses, we must refuse. */
async function compareWithOnnxruntime(
  nodes: NodeSketch[],
  initializers: Record<string, Tensor>,
  x: Tensor,
): Promise<'ran' | 'refused'> {
  const graph = sketchGraph({ inputs: { x: [...x.shape] }, outputs: ['y'], nodes, initializers });
  let expected: readonly number[];
  try {
    expected = (await runOnnxruntime(exportOnnx(graph), { x })).y!.shape;
  } catch {
    expect(() => inferOutput(graph, { x }), JSON.stringify(nodes)).toThrow(InputError);
    return 'refused';
  }
  expect(inferOutput(graph, { x }), `${JSON.stringify(nodes)} on [${x.shape}]`).toEqual(expected);
  return 'ran';
}

function windowAttributes(rank: number, kernel: number[], withPads: number): Record<string, Attribute> {
  const some = <T>(make: () => T): T[] => Array.from({ length: rank }, make);
  return {
    kernel_shape: kernel,
    strides: some(() => integer(1, 3)),
    dilations: some(() => integer(1, 2)),
    ...(random() < 0.5
      ? { pads: Array.from({ length: 2 * rank }, () => integer(0, withPads)) }
      : { auto_pad: pick(['SAME_UPPER', 'SAME_LOWER', 'VALID', 'NOTSET']) }),
  };
}

describe('shapes are those of onnxruntime', () => {
  it('Conv', async () => {
    const seen = { ran: 0, refused: 0 };
    for (let round = 0; round < 150; round++) {
      const rank = integer(1, 2);
      const kernel = Array.from({ length: rank }, () => integer(1, 4));
      const group = integer(1, 3);
      const attributes = { ...windowAttributes(rank, kernel, 2), group };
      // auto_pad with dilation is not defined alike everywhere.
      if ('auto_pad' in attributes) delete (attributes as Record<string, unknown>).dilations;
      const w = randomTensor([group * 2, 2, ...kernel], random);
      const x = randomTensor([2, group * 2, ...kernel.map(() => integer(2, 9))], random);
      seen[await compareWithOnnxruntime([['Conv', ['x', 'w'], ['y'], attributes]], { w }, x)]++;
    }
    expect(seen.ran).toBeGreaterThan(100);
  });

  it.each(['MaxPool', 'AveragePool'])('%s', async (op) => {
    const seen = { ran: 0, refused: 0 };
    for (let round = 0; round < 200; round++) {
      const rank = integer(1, 3);
      const kernel = Array.from({ length: rank }, () => integer(1, 4));
      const attributes: Record<string, Attribute> = {
        ...windowAttributes(rank, kernel, Math.min(...kernel) - 1),
        ceil_mode: integer(0, 1),
      };
      // onnxruntime applies ceil_mode to VALID in a way of its own; the specification ignores it there.
      if (attributes.auto_pad && attributes.auto_pad !== 'NOTSET') delete attributes.ceil_mode;
      if (attributes.auto_pad) delete attributes.dilations;
      // Windows that skip elements under SAME padding would need negative pads, which onnxruntime refuses to pool with.
      if (attributes.auto_pad) attributes.strides = kernel.map((size) => integer(1, Math.min(size, 3)));
      // Large enough for every window: onnxruntime rounds wrongly where one does not fit.
      const x = randomTensor([1, 2, ...kernel.map(() => integer(7, 12))], random);
      seen[await compareWithOnnxruntime([[op, ['x'], ['y'], attributes]], {}, x)]++;
    }
    expect(seen.ran).toBeGreaterThan(100);
  });

  it('MatMul with batches and vectors', async () => {
    for (let round = 0; round < 40; round++) {
      const [m, k, n] = [integer(1, 4), integer(1, 4), integer(1, 4)];
      const batch = [pick([1, 3]), pick([1, 2])];
      const x = randomTensor(pick([[k], [m, k], [batch[1]!, m, k], [3, 1, m, k]]), random);
      const w = randomTensor(pick([[k], [k, n], [batch[0]!, 2, k, n], [k + (round % 8 === 0 ? 1 : 0), n]]), random);
      await compareWithOnnxruntime([['MatMul', ['x', 'w'], ['y']]], { w }, x);
    }
  });

  it('broadcasting', async () => {
    for (let round = 0; round < 40; round++) {
      const shape = Array.from({ length: integer(0, 3) }, () => integer(1, 3));
      const other = shape.map((dim) => pick([dim, 1, dim + (random() < 0.1 ? 1 : 0)])).slice(integer(0, shape.length));
      await compareWithOnnxruntime(
        [['Add', ['x', 'w'], ['y']]],
        { w: randomTensor(other, random) },
        randomTensor(shape, random),
      );
    }
  });

  it('Slice with any starts, ends and steps', async () => {
    for (let round = 0; round < 150; round++) {
      const shape = [integer(1, 6), integer(1, 6)];
      const values = (low: number, high: number) => int64Tensor([integer(low, high), integer(low, high)]);
      const initializers = {
        s: values(-8, 8),
        e: values(-8, 8),
        a: int64Tensor(
          pick([
            [0, 1],
            [1, 0],
            [-1, 0],
          ]),
        ),
        t: int64Tensor([pick([1, 2, -1, -2]), pick([1, 3, -1])]),
      };
      await compareWithOnnxruntime(
        [['Slice', ['x', 's', 'e', 'a', 't'], ['y']]],
        initializers,
        randomTensor(shape, random),
      );
    }
  });

  it('Reshape, with what does not fit', async () => {
    const targets = [
      [0, -1],
      [-1, 4],
      [2, 3, 4],
      [0, 0, 0],
      [-1],
      [4, 6],
      [5, -1],
      [0, 4, -1],
      [24, 1, 1],
      [-1, -1],
      [2, 12, 0],
    ];
    for (const target of targets) {
      await compareWithOnnxruntime(
        [['Reshape', ['x', 's'], ['y']]],
        { s: int64Tensor(target) },
        randomTensor([2, 3, 4], random),
      );
    }
  });

  it('Pad, with cropping', async () => {
    for (let round = 0; round < 60; round++) {
      const mode = pick(['constant', 'reflect', 'edge']);
      const pads = Array.from({ length: 4 }, () => integer(mode === 'constant' ? -2 : 0, 2));
      const x = randomTensor([integer(2, 5), integer(3, 5)], random);
      if (mode !== 'constant' && Math.max(...pads) >= Math.min(...x.shape)) continue;
      // onnxruntime refuses to crop a tensor to less than nothing, and so do we; cropping it to nothing it does.
      await compareWithOnnxruntime([['Pad', ['x', 'p'], ['y'], { mode }]], { p: int64Tensor(pads) }, x);
    }
  });

  const x = randomTensor([2, 1, 3, 1], random);
  it.each<[string, NodeSketch[], Record<string, Tensor>]>([
    ['Flatten at 0', [['Flatten', ['x'], ['y'], { axis: 0 }]], {}],
    ['Flatten at the rank', [['Flatten', ['x'], ['y'], { axis: 4 }]], {}],
    ['Flatten at a negative axis', [['Flatten', ['x'], ['y'], { axis: -1 }]], {}],
    ['Flatten past the end', [['Flatten', ['x'], ['y'], { axis: 5 }]], {}],
    ['Transpose', [['Transpose', ['x'], ['y'], { perm: [2, 0, 3, 1] }]], {}],
    ['Transpose by default', [['Transpose', ['x'], ['y']]], {}],
    ['Transpose that names an axis twice', [['Transpose', ['x'], ['y'], { perm: [2, 0, 3, 3] }]], {}],
    ['Squeeze by default', [['Squeeze', ['x'], ['y']]], {}],
    ['Squeeze of axes', [['Squeeze', ['x', 'a'], ['y']]], { a: int64Tensor([-1]) }],
    ['Squeeze of what is not 1', [['Squeeze', ['x', 'a'], ['y']]], { a: int64Tensor([0]) }],
    ['Unsqueeze', [['Unsqueeze', ['x', 'a'], ['y']]], { a: int64Tensor([0, -1, 3]) }],
    ['ReduceMean', [['ReduceMean', ['x', 'a'], ['y'], { keepdims: 0 }]], { a: int64Tensor([-2, 0]) }],
    ['ReduceMean without axes', [['ReduceMean', ['x'], ['y']]], {}],
    ['ReduceMean as a no-op', [['ReduceMean', ['x'], ['y'], { noop_with_empty_axes: 1 }]], {}],
    ['Concat', [['Concat', ['x', 'w', 'x'], ['y'], { axis: -3 }]], { w: randomTensor([2, 4, 3, 1], random) }],
    [
      'Concat of what does not fit',
      [['Concat', ['x', 'w'], ['y'], { axis: 0 }]],
      { w: randomTensor([2, 4, 3, 1], random) },
    ],
    ['Gather', [['Gather', ['x', 'i'], ['y'], { axis: 2 }]], { i: { ...int64Tensor([0, 2, 1, 1]), shape: [2, 2] } }],
    ['GlobalAveragePool', [['GlobalAveragePool', ['x'], ['y']]], {}],
    ['Split', [['Split', ['x'], ['y', 'z'], { axis: 2, num_outputs: 2 }]], {}],
    [
      'Gemm',
      [
        ['Flatten', ['x'], ['f']],
        ['Gemm', ['f', 'w', 'c'], ['y'], { transA: 1 }],
      ],
      { w: randomTensor([2, 5], random), c: randomTensor([5], random) },
    ],
    [
      'Gemm whose bias does not fit',
      [
        ['Flatten', ['x'], ['f']],
        ['Gemm', ['f', 'w', 'c'], ['y']],
      ],
      { w: randomTensor([3, 5], random), c: randomTensor([4], random) },
    ],
    [
      'AveragePool with a last window past the end',
      [['AveragePool', ['x'], ['y'], { kernel_shape: [4, 1], strides: [2, 1], ceil_mode: 1 }]],
      {},
    ],
    ['Expand', [['Expand', ['x', 's'], ['y']]], { s: int64Tensor([2, 1, 5]) }],
    ['Tile', [['Tile', ['x', 's'], ['y']]], { s: int64Tensor([1, 2, 3, 1]) }],
  ])('%s', async (_, nodes, initializers) => {
    await compareWithOnnxruntime(nodes, initializers, x);
  });
});

describe('geometry', () => {
  const node = (op: string, attributes: Record<string, Attribute>): Node => ({
    name: 'n',
    op,
    inputs: ['x', 'w'],
    outputs: ['y'],
    attributes,
  });

  it('takes a 1-D convolution as one of height 1', () => {
    const g = convGeometry(
      node('Conv', { strides: [2], dilations: [3], pads: [1, 2], group: 2 }),
      [5, 4, 20],
      [6, 2, 3],
    );
    expect(g).toEqual({
      n: 5,
      ic: 4,
      ih: 1,
      iw: 20,
      oc: 6,
      oh: 1,
      ow: 9,
      kh: 1,
      kw: 3,
      strideH: 1,
      strideW: 2,
      dilH: 1,
      dilW: 3,
      padTop: 0,
      padLeft: 1,
      padBottom: 0,
      padRight: 2,
      groups: 2,
    });
  });

  it('puts the odd element of automatic padding at the end or at the start', () => {
    const pads = (auto_pad: string) => {
      const pool = node('MaxPool', { kernel_shape: [2, 3], strides: [1, 2], auto_pad });
      const g = poolGeometries(pool, [1, 1, 4, 4])[0]!;
      return [g.padTop, g.padLeft, g.padBottom, g.padRight, g.oh, g.ow];
    };
    expect(pads('SAME_UPPER')).toEqual([0, 0, 1, 1, 4, 2]);
    expect(pads('SAME_LOWER')).toEqual([1, 1, 0, 0, 4, 2]);
    expect(pads('VALID')).toEqual([0, 0, 0, 0, 3, 1]);
  });

  it.each<[string, Node, number[], number[], RegExp]>([
    [
      '3-D data',
      node('Conv', {}),
      [1, 1, 4, 4, 4],
      [1, 1, 2, 2, 2],
      /^node 'n' \(Conv\) works on 3-D data; 1-D and 2-D are supported$/,
    ],
    ['groups that do not divide', node('Conv', { group: 2 }), [1, 3, 4, 4], [2, 1, 2, 2], /group = 2/],
    ['a window larger than the input', node('Conv', {}), [1, 1, 4, 4], [1, 1, 5, 5], /leaves no output/],
    ['a stride of 0', node('Conv', { strides: [0, 1] }), [1, 1, 4, 4], [1, 1, 2, 2], /stride 0/],
    [
      'a wrong number of strides',
      node('Conv', { strides: [1] }),
      [1, 1, 4, 4],
      [1, 1, 2, 2],
      /1 values in strides where 2/,
    ],
    [
      'a kernel_shape that lies',
      node('Conv', { kernel_shape: [3, 3] }),
      [1, 1, 4, 4],
      [1, 1, 2, 2],
      /declares kernel_shape/,
    ],
    ['an unknown auto_pad', node('Conv', { auto_pad: 'SAME' }), [1, 1, 4, 4], [1, 1, 2, 2], /auto_pad 'SAME'/],
    ['an absurd dilation', node('Conv', { dilations: [2 ** 52, 1] }), [1, 1, 4, 4], [1, 1, 3, 2], /leaves no output/],
  ])('refuses %s', (_, conv, x, w, message) => {
    expect(() => convGeometry(conv, x, w)).toThrow(message);
  });
});

describe('inferShapes', () => {
  it('refuses sizes that overflow, naming the node', () => {
    const graph = sketchGraph({
      inputs: { x: [1] },
      outputs: ['y'],
      nodes: [['Expand', ['x', 's'], ['y']]],
      initializers: { s: int64Tensor([2 ** 40, 2 ** 40]) },
    });
    expect(() => inferOutput(graph, { x: floatTensor([1], [0]) })).toThrow(
      /^node 'Expand_0' \(Expand\): .*more elements/,
    );
  });

  it('prefers the rules that are passed in, and leaves out what nobody knows', () => {
    const graph = sketchGraph({
      inputs: { x: [2, 3] },
      outputs: ['z'],
      nodes: [
        ['wgslim.Double', ['x'], ['y']],
        ['wgslim.Mystery', ['y'], ['z']],
        ['Relu', ['z'], ['r']],
      ],
    });
    const shapes = inferShapes(
      graph,
      (op) => (op === 'wgslim.Double' ? (_, [x]) => [x!.map((dim) => 2 * dim)] : undefined),
      new Map([['x', [2, 3]]]),
    );
    expect([...shapes]).toEqual([
      ['x', [2, 3]],
      ['y', [4, 6]],
    ]);
  });
});
