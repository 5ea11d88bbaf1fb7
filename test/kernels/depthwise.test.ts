import { describe, expect, it } from 'vitest';
import { convGeometry as shapeOf } from '../../src/graph/infer/conv.ts';
import type { Node } from '../../src/graph/types.ts';
import { convGeometry, padInput } from '../../src/kernels/conv.ts';
import type { ConvShape } from '../../src/kernels/convShape.ts';
import { depthwiseConv, suitsDepthwise } from '../../src/kernels/depthwise.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';
import { conv as reference } from '../support/reference/products.ts';
import { array64 } from '../support/reference/reference.ts';

const shapeBy = (x: number[], w: number[], attributes: Record<string, number | number[]>): ConvShape =>
  shapeOf({ name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes } as Node, x, w);

const cases: [name: string, x: number[], w: number[], pads: number[]][] = [
  ['whole quads', [2, 8, 13, 16], [8, 1, 3, 3], [1, 1, 1, 1]],
  ['ragged rows', [2, 70, 9, 9], [70, 1, 3, 3], [1, 1, 1, 1]],
  ['5x5', [1, 9, 10, 15], [9, 1, 5, 5], [2, 2, 2, 2]],
  ['1x5', [1, 9, 5, 12], [9, 1, 1, 5], [0, 0, 0, 0]],
  ['4x1, one row', [1, 3, 4, 5], [3, 1, 4, 1], [0, 0, 0, 0]],
  ['several outputs of a channel', [2, 3, 11, 10], [6, 1, 2, 4], [0, 0, 0, 0]],
];

describe.each(KINDS)('depthwise convolution as a %s computes it', (kind) => {
  it.each(cases)('%s', async (_, xShape, wShape, pads) => {
    const recorder = new DirectRecorder(await testGpu());
    const of = recorderOfKind(recorder, kind);
    const shape = shapeBy(xShape, wShape, { pads, group: xShape[1]! });
    const elements = (lengths: readonly number[]) => lengths.reduce((product, length) => product * length, 1);
    const xData = randomFloats(1, elements(xShape));
    const wData = randomFloats(2, elements(wShape));
    const bData = randomFloats(3, wShape[0]!);
    const inputs = [array64(xShape, xData), array64(wShape, wData), array64([wShape[0]!], bData)];
    const expected = reference({ attributes: { pads, group: xShape[1]! }, inputs, training: false })[0]!.data;
    const rData = randomFloats(4, expected.length);
    // Weights that begin inside their buffer.
    const [x, weights, bias, residual] = [xData, Float32Array.of(9, 9, 9, ...wData), bData, rData].map((data) =>
      recorder.upload('f32', data),
    );
    const outs = [0, 1].map(() => recorder.upload('f32', new Float32Array(expected.length).fill(Number.NaN)));
    const padded = padInput(of, x!, shape);
    const call = {
      ...convGeometry(shape, padded),
      x: padded.operand,
      weights: weights!,
      weightsOffset: 3,
      bias,
      label: 'convolution',
    };
    expect(suitsDepthwise(call)).toBe(true);
    depthwiseConv(of, { ...call, out: outs[0]! });
    depthwiseConv(of, { ...call, out: outs[1]!, residual: residual!, lo: 0, hi: 1.5 });
    await recorder.run();
    expect(relativeError(await recorder.read(outs[0]!), expected)).toBeLessThan(1e-5);
    const bounded = expected.map((value, i) => Math.min(1.5, Math.max(0, value + rData[i]!)));
    expect(relativeError(await recorder.read(outs[1]!), bounded)).toBeLessThan(1e-5);
    recorder.dispose();
  });
});

it('is for pixels and taps one apart, and five taps a row at most', () => {
  const suits = (w: number[], attributes: Record<string, number | number[]>, width = 12) =>
    suitsDepthwise(convGeometry(shapeBy([1, 6, 12, width], w, attributes), { h: 12, w: width }));
  expect(suits([6, 1, 3, 3], { group: 6 })).toBe(true);
  expect(suits([6, 1, 7, 7], { group: 6 })).toBe(false);
  expect(suits([6, 2, 3, 3], { group: 3 })).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6 }, 5)).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6, strides: [2, 1] })).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6, strides: [1, 2] })).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6, dilations: [2, 1] })).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6, dilations: [1, 2] })).toBe(false);
});
