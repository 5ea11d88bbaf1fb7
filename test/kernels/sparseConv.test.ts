import { describe, expect, it } from 'vitest';
import { convGeometry } from '../../src/graph/infer/conv.ts';
import type { Node } from '../../src/graph/types.ts';
import { padInput } from '../../src/kernels/conv.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { sparseConv } from '../../src/kernels/sparseConv.ts';
import { weightsOf } from '../../src/kernels/weightMatrix.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';
import { conv as reference } from '../support/reference/products.ts';
import { array64 } from '../support/reference/reference.ts';
import { blocksOf, type Mask, maskedMatrix, nOfM, type Packing, pack, unstructured } from '../support/sparse.ts';

type Attributes = Record<string, number | number[]>;
interface Case {
  x: number[];
  w: number[];
  attributes: Attributes;
  mask: Mask;
  packing: Packing;
  kind?: 'f32' | 'f16' | 'int8' | 'int4';
}

const cases: Record<string, Case> = {
  '3x3 rows': {
    x: [2, 5, 9, 11],
    w: [21, 5, 3, 3],
    attributes: { pads: [1, 1, 1, 1] },
    mask: unstructured(1, 0.2),
    packing: 'rows',
  },
  'stride 2, dilation, uneven padding, int8 rows': {
    x: [1, 6, 14, 12],
    w: [9, 6, 3, 2],
    attributes: { pads: [1, 0, 2, 1], strides: [2, 1], dilations: [2, 3] },
    mask: unstructured(2, 0.15),
    packing: 'rows',
    kind: 'int8',
  },
  'groups, 2:4': {
    x: [2, 12, 7, 6],
    w: [18, 4, 3, 2],
    attributes: { group: 3, pads: [1, 1, 1, 1] },
    mask: nOfM(2, 4),
    packing: { n: 2, m: 4 },
  },
  'groups, rows': {
    x: [1, 4, 6, 6],
    w: [20, 2, 3, 3],
    attributes: { group: 2 },
    mask: unstructured(5, 0.3),
    packing: 'rows',
    kind: 'f16',
  },
  'groups, blocks': {
    x: [1, 8, 5, 5],
    w: [22, 4, 3, 3],
    attributes: { group: 2 },
    mask: (row, term) => (Math.floor((row % 11) / 8) + Math.floor(term / 9)) % 2 === 0,
    packing: { blockRows: 8, blockK: 9 },
  },
  depthwise: {
    x: [1, 5, 6, 6],
    w: [5, 1, 3, 3],
    attributes: { group: 5, pads: [1, 1, 1, 1] },
    mask: unstructured(3, 0.5),
    packing: 'rows',
  },
  '1x1, blocks, int4': {
    x: [2, 33, 5, 5],
    w: [40, 33, 1, 1],
    attributes: {},
    mask: blocksOf(4, 0.4, 16, 8),
    packing: { blockRows: 16, blockK: 8 },
    kind: 'int4',
  },
};

describe.each(KINDS)('a sparse convolution as a %s computes it', (kind) => {
  it.each(Object.entries(cases))('%s', async (_, { x: xShape, w: wShape, attributes, mask, packing, kind: values }) => {
    const recorder = new DirectRecorder(await testGpu());
    const of = recorderOfKind(recorder, kind);
    const node: Node = { name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes };
    const shape = convGeometry(node, xShape, wShape);
    const [rows, k] = [wShape[0]!, wShape[1]! * wShape[2]! * wShape[3]!];
    const matrix = maskedMatrix(rows, k, mask, values);
    const xData = randomFloats(
      1,
      xShape.reduce((product, length) => product * length, 1),
    );
    const bData = randomFloats(3, rows);
    const inputs = [array64(xShape, xData), array64(wShape, weightsOf(matrix)), array64([rows], bData)];
    const expected = reference({ attributes, inputs, training: false })[0]!.data;
    const rData = randomFloats(4, expected.length);

    const packed = pack(matrix, packing, shape.groups);
    const weights = { ...packed, operand: recorder.upload('u32', packed.words) };
    const [x, bias, residual] = [xData, bData, rData].map((data) => recorder.upload('f32', data));
    const [out, added] = [0, 1].map(() => recorder.temporary('f32', expected.length));
    sparseConv(of, { x: x!, weights, bias, out: out!, shape });
    const padded = padInput(of, x!, shape);
    sparseConv(of, { x: x!, padded, weights, bias, residual, out: added!, shape, lo: 0, hi: 1.5 });
    await recorder.run();

    expect(relativeError(await recorder.read(out!), expected)).toBeLessThan(1e-5);
    const bounded = expected.map((value, i) => Math.min(1.5, Math.max(0, value + rData[i]!)));
    expect(relativeError(await recorder.read(added!), bounded)).toBeLessThan(1e-5);
    recorder.dispose();
  });
});

it('refuses weights of another convolution', async () => {
  const recorder = new DirectRecorder(await testGpu());
  const node: Node = { name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes: { group: 2 } };
  const shape = convGeometry(node, [1, 4, 3, 3], [2, 2, 3, 3]);
  const packed = pack(
    maskedMatrix(2, 18, () => true),
    'rows',
  );
  const weights = { ...packed, operand: recorder.upload('u32', packed.words) };
  const x = recorder.upload('f32', new Float32Array(36));
  const call = { x, weights, out: recorder.temporary('f32', 2), shape };
  expect(() => sparseConv(recorder, call)).toThrow('in 1 groups, not as 2 x 18 in 2');
  recorder.dispose();
});
