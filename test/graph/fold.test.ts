import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/graph/errors.ts';
import { foldNode } from '../../src/graph/fold/fold.ts';
import { propagate } from '../../src/graph/propagate.ts';
import { inferShapeOfOperator } from '../../src/graph/shapes.ts';
import { floatTensor, int64Tensor } from '../../src/graph/tensor.ts';
import type { Attribute, Tensor } from '../../src/graph/types.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { generator, randomTensor, sketchGraph } from '../onnx/build.ts';
import { runOnnxruntime } from '../onnx/ort.ts';

const random = generator(5);
const f = (shape: number[]): Tensor => randomTensor(shape, random);
const i = (shape: number[], low = -9, high = 9): Tensor => {
  const length = shape.reduce((product, dim) => product * dim, 1);
  const values = Array.from({ length }, () => low + Math.floor(random() * (high - low + 1)));
  return { ...int64Tensor(values), shape };
};
const b = (shape: number[]): Tensor => {
  const length = shape.reduce((product, dim) => product * dim, 1);
  return { dtype: 'bool', shape, data: Uint8Array.from({ length }, () => Math.round(random())) };
};
const list = (...values: number[]): Tensor => int64Tensor(values);
const scalar = (value: number): Tensor => ({ ...int64Tensor([value]), shape: [] });

const cases: [string, Tensor[], Record<string, Attribute>?][] = [
  ...['Add', 'Sub', 'Mul', 'Max', 'Min'].flatMap((op): [string, Tensor[]][] => [
    [op, [i([3, 1, 2]), i([4, 1])]],
    [op, [f([3, 1, 2]), f([4, 1])]],
  ]),
  ['Max', [f([2, 3]), f([3]), f([1])]],
  ['Div', [i([4, 3], -9, 9), i([3], 1, 4)]],
  ['Div', [i([8], -9, 9), list(-3)]],
  ['Div', [f([4, 3]), f([4, 1])]],
  ['Mod', [i([20], -9, 9), list(4)]],
  ['Mod', [i([20], -9, 9), list(-4)]],
  ['Mod', [i([20], -9, 9), list(4)], { fmod: 1 }],
  ['Mod', [f([20]), f([1])], { fmod: 1 }],
  ...['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'].map((op): [string, Tensor[]] => [
    op,
    [i([5, 4], 0, 3), i([4], 0, 3)],
  ]),
  ['And', [b([6, 2]), b([2])]],
  ['Or', [b([6, 2]), b([6, 1])]],
  ['Not', [b([7])]],
  ['Neg', [i([5])]],
  ['Abs', [f([5])]],
  ['Floor', [f([9])]],
  ['Ceil', [f([9])]],
  ['Clip', [f([9]), floatTensor([], [-0.25]), floatTensor([], [0.25])]],
  ['Clip', [i([9]), scalar(2), scalar(-2)]],
  ['ReduceSum', [i([2, 3, 4]), list(1)], { keepdims: 0 }],
  ['ReduceSum', [f([2, 3, 4]), list(0, -1)]],
  ['ReduceProd', [i([2, 3], 1, 4)], { keepdims: 0 }],
  ['ReduceProd', [i([2, 3], 1, 4), list(0)]],
  ['ReduceMax', [i([2, 3, 2]), list(2)]],
  ['ReduceMin', [f([2, 3, 2]), list(0, 2)]],
  ['ReduceMean', [f([2, 3, 2]), list(-2)]],
  ['Reshape', [i([2, 6]), list(1, 0, -1)], { allowzero: 0 }],
  ['Reshape', [i([2, 6]), list(0, 3, -1)]],
  ['Flatten', [f([2, 3, 4])], { axis: 2 }],
  ['Squeeze', [f([1, 3, 1]), list(-1)]],
  ['Unsqueeze', [f([3, 2]), list(0, -1)]],
  ['Transpose', [f([2, 3, 4])], { perm: [1, 2, 0] }],
  ['Transpose', [i([2, 3])]],
  ['Slice', [f([5, 6]), list(-1, 1), list(-9, 100), list(0, 1), list(-2, 3)]],
  ['Slice', [i([7]), list(2), list(5)]],
  ['Expand', [i([3, 1]), list(2, 1, 4)]],
  ['Concat', [f([2, 3]), f([2, 1]), f([2, 2])], { axis: -1 }],
  ['Concat', [list(1), list(2, 3), list(4)], { axis: 0 }],
  ['Gather', [f([3, 4, 2]), list(3, -1, 0)], { axis: 1 }],
  ['Gather', [list(5, 6, 7), scalar(-2)], { axis: 0 }],
  ['Pad', [f([2, 3]), list(1, -1, 0, 2)]],
  ['Pad', [i([2, 3]), list(2, 1), scalar(7), list(-1)]],
  ['Where', [b([4, 1]), f([3]), f([4, 3])]],
  ['Range', [scalar(3), scalar(-8), scalar(-2)]],
  ['Range', [floatTensor([], [0]), floatTensor([], [1]), floatTensor([], [0.25])]],
  ['ConstantOfShape', [list(2, 3)], { value: list(7) }],
  ['ConstantOfShape', [list(4)]],
  ['Cast', [f([6])], { to: 'int64' }],
  ['Cast', [i([6])], { to: 'float32' }],
  ['Cast', [i([6], -1, 1)], { to: 'bool' }],
  ['Cast', [i([6], -300, 300)], { to: 'int8' }],
  ['CastLike', [i([6]), f([1])]],
  ['Sqrt', [floatTensor([3], [0, 2, 9])]],
];

/** One node whose inputs are all constant, so that it has to fold. */
function foldOne(op: string, inputs: Tensor[], attributes: Record<string, Attribute> = {}): Tensor | undefined {
  const names = inputs.map((_, index) => `x${index}`);
  const graph = sketchGraph({
    inputs: {},
    outputs: ['y'],
    nodes: [[op, names, ['y'], attributes]],
    initializers: Object.fromEntries(inputs.map((tensor, index) => [names[index]!, tensor])),
  });
  return propagate(graph, { infer: inferShapeOfOperator, fold: foldNode }, new Map()).constants.get('y');
}

describe('folding computes what onnxruntime computes', () => {
  it.each(
    cases.map(
      ([op, inputs, attributes]) =>
        [op, inputs.map(({ dtype, shape }) => `${dtype}[${shape}]`).join(' '), inputs, attributes] as const,
    ),
  )('%s of %s', async (op, _, inputs, attributes = {}) => {
    const names = inputs.map((_, index) => `x${index}`);
    const folded = foldOne(op, [...inputs], attributes);
    expect(folded).toBeDefined();
    const model = exportOnnx(
      sketchGraph({
        inputs: Object.fromEntries(
          inputs.map(({ dtype, shape }, index) => [names[index]!, { dtype, shape: [...shape] }]),
        ),
        outputs: ['y'],
        nodes: [[op, names, ['y'], attributes]],
        outputTypes: { y: folded!.dtype },
      }),
    );
    const { y } = await runOnnxruntime(
      model,
      Object.fromEntries(inputs.map((tensor, index) => [names[index]!, tensor])),
    );
    expect(folded!.shape).toEqual(y!.shape);
    if (folded!.dtype === 'float32') {
      (y!.data as Float32Array).forEach((value, index) => void expect(folded!.data[index]).toBeCloseTo(value, 5));
    } else expect([...folded!.data]).toEqual([...y!.data]);
  });

  it('Split into several outputs', () => {
    const graph = sketchGraph({
      inputs: {},
      outputs: ['a', 'c'],
      nodes: [['Split', ['x', 's'], ['a', 'b', 'c'], { axis: 1 }]],
      initializers: { x: { ...list(...Array(12).keys()), shape: [2, 6] }, s: list(1, 2, 3) },
    });
    const { constants } = propagate(graph, { infer: inferShapeOfOperator, fold: foldNode }, new Map());
    expect(constants.get('a')).toEqual({ ...list(0, 6), shape: [2, 1] });
    expect(constants.get('c')).toEqual({ ...list(3, 4, 5, 9, 10, 11), shape: [2, 3] });
  });

  it('Shape and Size of what is not constant', () => {
    const graph = sketchGraph({
      inputs: { x: [2, 3, 4] },
      outputs: ['s', 'n'],
      nodes: [
        ['Shape', ['x'], ['s'], { start: -2 }],
        ['Size', ['x'], ['n']],
      ],
    });
    const { constants } = propagate(
      graph,
      { infer: inferShapeOfOperator, fold: foldNode },
      new Map([['x', [2, 3, 4]]]),
    );
    expect(constants.get('s')).toEqual(list(3, 4));
    expect(constants.get('n')).toEqual(scalar(24));
  });
});

describe('folding refuses', () => {
  it.each<[string, string, Tensor[], Record<string, Attribute>, RegExp]>([
    ['a division by zero', 'Div', [list(1, 2), list(0)], {}, /divides integers by zero/],
    ['mixed types', 'Add', [list(1), floatTensor([1], [1])], {}, /combines int64 with float32/],
    ['an index past the end', 'Gather', [list(1, 2), list(2)], { axis: 0 }, /gathers index 2 of a length of 2/],
    [
      'a gigabyte out of a few bytes',
      'ConstantOfShape',
      [list(2 ** 15, 2 ** 15)],
      {},
      /would produce 1073741824 constant elements/,
    ],
    ['an endless range', 'Range', [scalar(0), scalar(1), scalar(0)], {}, /has no end/],
    ['a huge range', 'Range', [scalar(0), scalar(2 ** 50), scalar(1)], {}, /would produce/],
    ['a maximum of nothing', 'ReduceMax', [{ ...list(), shape: [0] }], {}, /reduces an empty tensor/],
  ])('%s', (_, op, inputs, attributes, message) => {
    expect(() => foldOne(op, inputs, attributes)).toThrow(InputError);
    expect(() => foldOne(op, inputs, attributes)).toThrow(message);
  });

  it('growth by repeated doubling', () => {
    const graph = sketchGraph({
      inputs: {},
      outputs: ['v40'],
      nodes: Array.from(
        { length: 40 },
        (_, index) => ['Concat', [`v${index}`, `v${index}`], [`v${index + 1}`], { axis: 0 }] as const,
      ).map(([op, inputs, outputs, attributes]) => [op, [...inputs], [...outputs], attributes]),
      initializers: { v0: list(1) },
    });
    expect(() => propagate(graph, { infer: inferShapeOfOperator, fold: foldNode }, new Map())).toThrow(
      /far more than the model holds/,
    );
  });
});
