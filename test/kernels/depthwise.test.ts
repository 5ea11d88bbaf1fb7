import { describe, expect, it } from 'vitest';
import { convGeometry } from '../../src/kernels/conv.ts';
import { depthwiseConv, suitsDepthwise } from '../../src/kernels/depthwise.ts';
import { KINDS } from '../support/recorderOfKind.ts';
import { convShapeBy, expectConvolution } from '../support/validConv.ts';

const cases: [name: string, x: number[], w: number[], pads: number[]][] = [
  ['whole quads', [2, 8, 13, 16], [8, 1, 3, 3], [1, 1, 1, 1]],
  ['ragged rows', [2, 70, 9, 9], [70, 1, 3, 3], [1, 1, 1, 1]],
  ['5x5', [1, 9, 10, 15], [9, 1, 5, 5], [2, 2, 2, 2]],
  ['7x7', [2, 9, 14, 14], [9, 1, 7, 7], [3, 3, 3, 3]],
  ['7x7, ragged rows', [1, 5, 7, 13], [5, 1, 7, 7], [3, 3, 3, 3]],
  ['6x7', [1, 4, 9, 10], [4, 1, 6, 7], [0, 0, 0, 0]],
  ['1x5', [1, 9, 5, 12], [9, 1, 1, 5], [0, 0, 0, 0]],
  ['4x1, one row', [1, 3, 4, 5], [3, 1, 4, 1], [0, 0, 0, 0]],
  ['several outputs of a channel', [2, 3, 11, 10], [6, 1, 2, 4], [0, 0, 0, 0]],
];

describe.each(KINDS)('depthwise convolution as a %s computes it', (kind) => {
  it.each(cases)('%s', async (_, x, w, pads) => {
    await expectConvolution(kind, { x, w, attributes: { pads, group: x[1]! } }, (recorder, call) => {
      expect(suitsDepthwise(call)).toBe(true);
      depthwiseConv(recorder, call);
    });
  });
});

it('is for pixels and taps one apart, and seven taps a row at most', () => {
  const suits = (w: number[], attributes: Record<string, number | number[]>, width = 12) =>
    suitsDepthwise(convGeometry(convShapeBy([1, 6, 12, width], w, attributes), { h: 12, w: width }));
  expect(suits([6, 1, 3, 3], { group: 6 })).toBe(true);
  expect(suits([6, 1, 7, 7], { group: 6 })).toBe(true);
  expect(suits([6, 1, 3, 8], { group: 6 })).toBe(false);
  expect(suits([6, 2, 3, 3], { group: 3 })).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6 }, 5)).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6, strides: [2, 1] })).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6, strides: [1, 2] })).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6, dilations: [2, 1] })).toBe(false);
  expect(suits([6, 1, 3, 3], { group: 6, dilations: [1, 2] })).toBe(false);
});
