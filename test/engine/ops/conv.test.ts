import { describe, it } from 'vitest';
import { checkGradients } from '../../support/gradient.ts';

interface Case {
  name: string;
  x: number[];
  w: number[];
  attributes?: Record<string, number | string | number[]>;
  bias?: boolean;
}

const cases: Case[] = [
  { name: 'a plain 3x3', x: [2, 3, 5, 6], w: [4, 3, 3, 3] },
  { name: 'padding and bias', x: [2, 3, 6, 5], w: [5, 3, 3, 3], attributes: { pads: [1, 1, 1, 1] }, bias: true },
  { name: 'lopsided padding', x: [1, 2, 5, 4], w: [3, 2, 3, 2], attributes: { pads: [0, 1, 2, 0] }, bias: true },
  { name: 'stride 2', x: [2, 3, 8, 8], w: [4, 3, 3, 3], attributes: { strides: [2, 2], pads: [1, 1, 1, 1] } },
  { name: 'stride 2 on odd sizes', x: [1, 2, 7, 9], w: [3, 2, 3, 3], attributes: { strides: [2, 2] } },
  { name: 'a stride wider than the kernel', x: [1, 2, 8, 7], w: [3, 2, 2, 1], attributes: { strides: [3, 2] } },
  {
    name: 'stride 3 and padding',
    x: [2, 1, 9, 8],
    w: [2, 1, 5, 4],
    attributes: { strides: [3, 2], pads: [2, 1, 1, 2] },
  },
  { name: 'dilation', x: [1, 2, 8, 9], w: [3, 2, 3, 2], attributes: { dilations: [2, 3], pads: [1, 2, 0, 1] } },
  {
    name: 'dilation and stride with a common factor',
    x: [1, 2, 11, 12],
    w: [2, 2, 3, 3],
    attributes: { dilations: [2, 4], strides: [4, 2], pads: [2, 2, 2, 3] },
  },
  {
    name: 'dilation 2, stride 3',
    x: [1, 1, 12, 10],
    w: [2, 1, 3, 3],
    attributes: { dilations: [2, 2], strides: [3, 3] },
  },
  { name: 'two groups', x: [2, 4, 5, 5], w: [10, 2, 3, 3], attributes: { group: 2, pads: [1, 1, 1, 1] }, bias: true },
  { name: 'depthwise', x: [2, 5, 6, 5], w: [5, 1, 3, 3], attributes: { group: 5, pads: [1, 1, 1, 1] }, bias: true },
  { name: 'depthwise, stride 2', x: [1, 4, 8, 8], w: [8, 1, 3, 3], attributes: { group: 4, strides: [2, 2] } },
  { name: '1x1', x: [2, 7, 4, 3], w: [9, 7, 1, 1], bias: true },
  { name: '1x1, stride 2', x: [1, 3, 5, 5], w: [4, 3, 1, 1], attributes: { strides: [2, 2] } },
  { name: 'a 5x5 kernel over its whole input', x: [3, 2, 5, 5], w: [6, 2, 5, 5], bias: true },
  { name: '7x7, stride 2', x: [1, 2, 13, 11], w: [3, 2, 7, 7], attributes: { strides: [2, 2], pads: [3, 3, 3, 3] } },
  { name: 'one column', x: [2, 3, 9, 1], w: [2, 3, 3, 1], attributes: { pads: [1, 0, 1, 0] } },
  { name: 'more channels than a tile', x: [1, 3, 4, 4], w: [21, 3, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
  { name: 'one axis', x: [2, 3, 9], w: [4, 3, 3], attributes: { strides: [2], pads: [1, 1] }, bias: true },
];

describe('Conv agrees with its definition and with central differences', () => {
  it.each(cases)('$name', async ({ x, w, attributes, bias }) => {
    await checkGradients({
      op: 'Conv',
      attributes,
      inputs: [{ shape: x }, { shape: w, initializer: true }, bias ? { shape: [w[0]!], initializer: true } : undefined],
    });
  });
});
