import { describe, expect, it } from 'vitest';
import { floatTensor, int64Tensor } from '../../../src/graph/tensor.ts';
import type { Node, Tensor } from '../../../src/graph/types.ts';
import { checkGradients } from '../../support/gradient.ts';

const flag = (value: number): Tensor => ({ dtype: 'bool', shape: [], data: Uint8Array.of(value) });

const cases: { op: string; attributes?: Node['attributes']; constants?: Record<number, Tensor>; shape: number[] }[] = [
  { op: 'Reshape', constants: { 1: int64Tensor([0, -1]) }, shape: [2, 12] },
  { op: 'Flatten', attributes: { axis: 2 }, shape: [6, 4] },
  { op: 'Flatten', attributes: { axis: 0 }, shape: [1, 24] },
  { op: 'Squeeze', shape: [2, 3, 4] },
  { op: 'Squeeze', constants: { 1: int64Tensor([-2]) }, shape: [2, 3, 4] },
  { op: 'Unsqueeze', constants: { 1: int64Tensor([0, -1]) }, shape: [1, 2, 3, 1, 4, 1] },
  { op: 'Identity', shape: [2, 3, 1, 4] },
  { op: 'Dropout', shape: [2, 3, 1, 4] },
  { op: 'Dropout', constants: { 1: floatTensor([], [0.5]), 2: flag(0) }, shape: [2, 3, 1, 4] },
];

describe('views', () => {
  it.each(cases)('$op to $shape costs nothing', async ({ op, attributes, constants, shape }) => {
    const result = await checkGradients({ op, attributes, constants, inputs: [{ shape: [2, 3, 1, 4] }] });
    expect(result.shapes.get('y0')).toEqual(shape);
    expect(result.dispatches).toBe(0);
  });

  it('refuses a Dropout in training mode', async () => {
    const constants = { 1: floatTensor([], [0.5]), 2: flag(1) };
    const run = checkGradients({ op: 'Dropout', constants, inputs: [{ shape: [2] }] });
    await expect(run).rejects.toThrow(/node 'Dropout' \(Dropout\) was exported in training mode/);
  });
});
