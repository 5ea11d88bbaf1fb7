import { describe, expect, it } from 'vitest';
import { floatTensor, int64Tensor } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/types.ts';
import { checkGradients } from '../../support/gradient.ts';

const ints = (values: number[]) => int64Tensor(values);

describe('Transpose', () => {
  it.each([
    [[3, 5], undefined],
    [
      [2, 3, 4, 5],
      [0, 2, 3, 1],
    ],
    [
      [2, 3, 4, 8],
      [1, 0, 2, 3],
    ],
    [
      [4, 1, 5, 1],
      [0, 1, 3, 2],
    ],
    [
      [2, 3, 1, 2, 3, 2],
      [5, 2, 0, 3, 1, 4],
    ],
    [[7], [0]],
    [
      [0, 3],
      [1, 0],
    ],
    [
      [40, 33],
      [1, 0],
    ],
  ])('of %j by %j', async (shape, perm) => {
    await checkGradients({ op: 'Transpose', attributes: perm ? { perm } : {}, inputs: [{ shape }] });
  });

  it('that moves nothing costs nothing', async () => {
    const attributes = { perm: [1, 0, 2, 3] };
    const { dispatches } = await checkGradients({ op: 'Transpose', attributes, inputs: [{ shape: [1, 4, 3, 3] }] });
    expect(dispatches).toBe(0);
  });

  it('refuses more than six dimensions', async () => {
    const check = checkGradients({ op: 'Transpose', inputs: [{ shape: [1, 2, 1, 2, 1, 2, 2] }] });
    await expect(check).rejects.toThrow(/7 dimensions/);
  });
});

describe('Slice', () => {
  const max = 2 ** 40; // "to the end", as exporters write it
  it.each<[string, number[], number[], number[], number[]?, number[]?]>([
    ['one axis', [4, 6], [1], [3], [1]],
    ['negative starts, ends and axes', [4, 6], [-3, -2], [-1, max], [-1, -2]],
    ['every second pixel, as a shortcut of ResNet', [2, 3, 8, 8], [0, 0], [max, max], [2, 3], [2, 2]],
    ['negative steps', [5, 7], [-1, 5], [-max, -7], [0, 1], [-1, -3]],
    ['mixed steps', [3, 9, 5], [2, 8, 1], [-max, 0, 4], [0, 1, 2], [-2, -4, 2]],
    ['ends beyond the tensor', [4, 6], [2, 0], [100, 100]],
    ['whole vectors of a row', [3, 8, 4], [4], [8], [1]],
    ['nothing left', [4, 6], [3], [3], [0]],
    ['everything', [4, 6], [0], [max], [1]],
    ['an empty tensor', [0, 6], [1], [3], [1]],
  ])('%s', async (_, shape, starts, ends, axes, steps) => {
    const constants: Record<number, Tensor> = { 1: ints(starts), 2: ints(ends) };
    if (axes) constants[3] = ints(axes);
    if (steps) constants[4] = ints(steps);
    await checkGradients({ op: 'Slice', inputs: [{ shape }], constants });
  });
});

describe('Concat', () => {
  it.each([
    [
      0,
      [
        [2, 3],
        [1, 3],
      ],
    ],
    [
      1,
      [
        [2, 3, 2, 2],
        [2, 1, 2, 2],
        [2, 4, 2, 2],
      ],
    ],
    [
      -1,
      [
        [3, 2],
        [3, 5],
        [3, 1],
        [3, 3],
      ],
    ],
    [
      1,
      [
        [2, 4, 4],
        [2, 8, 4],
      ],
    ],
    [
      1,
      [
        [2, 0, 4],
        [2, 3, 4],
      ],
    ],
    [0, [[4, 4]]],
    [2, Array.from({ length: 12 }, (_, i) => [2, 1, i + 1])],
  ])('along axis %i of %j', async (axis, shapes) => {
    await checkGradients({ op: 'Concat', attributes: { axis }, inputs: shapes.map((shape) => ({ shape })) });
  });
});

describe('Pad', () => {
  it.each<[string, number[], number[], { mode?: string; value?: number; axes?: number[] }]>([
    ['channels, as a shortcut of ResNet', [2, 4, 3, 4], [0, 2, 0, 0, 0, 2, 0, 0], {}],
    ['with a value', [2, 3], [1, 2, 0, 1], { value: 1.5 }],
    ['some axes', [2, 3, 4], [1, 2, 0, 3], { axes: [-1, 0], value: -2 }],
    ['negative amounts', [5, 6], [-1, 2, 1, -3], {}],
    ['all cut off', [3, 4], [-2, 0, -1, 0], {}],
    ['nothing', [3, 4], [0, 0, 0, 0], {}],
    ['an axis of length 1', [1, 1, 2], [1, 0, 0, 1, 0, 3], { value: 3 }],
    ['an empty tensor', [0, 2], [1, 0, 1, 1], { value: 4 }],
    ['six axes', [2, 1, 2, 2, 1, 2], [1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1], {}],
    ['reflect', [3, 5, 4], [0, 2, 3, 0, 4, 1], { mode: 'reflect' }],
    ['reflect and cut', [6, 5], [-1, 2, 2, -1], { mode: 'reflect' }],
    ['edge', [2, 3, 4], [1, 0, 5, 3, 2, 1], { mode: 'edge' }],
    ['wrap', [3, 4], [2, 1, 3, 4], { mode: 'wrap' }],
    ['edge, nothing', [3, 4], [0, 0, 0, 0], { mode: 'edge' }],
  ])('%s', async (_, shape, pads, { mode, value, axes }) => {
    const constants: Record<number, Tensor> = { 1: ints(pads) };
    if (value !== undefined) constants[2] = floatTensor([], [value]);
    if (axes) constants[3] = ints(axes);
    await checkGradients({ op: 'Pad', attributes: mode ? { mode } : {}, inputs: [{ shape }], constants });
  });
});

describe('Gather', () => {
  it.each<[string, number[], number, number[], number[]]>([
    ['rows, some twice', [5, 3], 0, [4], [4, 0, -1, 0]],
    ['columns by a matrix', [2, 6, 3], 1, [2, 2], [5, 1, 1, -6]],
    ['one index', [3, 4], -1, [], [2]],
    ['no index', [3, 4], 1, [0], []],
    ['more than a workgroup takes', [70, 5], 0, [300], Array.from({ length: 300 }, (_, i) => (i * 7) % 70)],
  ])('%s', async (_, shape, axis, indexShape, indices) => {
    const constants = { 1: { ...ints(indices), shape: indexShape } };
    await checkGradients({ op: 'Gather', attributes: { axis }, inputs: [{ shape }], constants });
  });

  it('refuses an index beyond the axis', async () => {
    const check = checkGradients({ op: 'Gather', inputs: [{ shape: [3, 2] }], constants: { 1: ints([3]) } });
    await expect(check).rejects.toThrow(/index 3/);
  });
});
