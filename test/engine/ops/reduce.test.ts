import { describe, expect, it } from 'vitest';
import { int64Tensor } from '../../../src/graph/tensor.ts';
import { checkGradients } from '../../support/gradient.ts';

describe('ReduceMean', () => {
  it.each([[[0]], [[1]], [[-1]], [[2, 3]], [[0, 2]], [[1, 3]], [[0, 1, 2, 3]], [[-2, 0]]])(
    'averages over the axes %j',
    async (axes) => {
      for (const keepdims of [0, 1]) {
        const constants = { 1: int64Tensor(axes) };
        await checkGradients({
          op: 'ReduceMean',
          attributes: { keepdims },
          inputs: [{ shape: [2, 3, 4, 5] }],
          constants,
        });
      }
    },
  );

  it('averages over everything without axes', async () => {
    const result = await checkGradients({ op: 'ReduceMean', inputs: [{ shape: [2, 3, 4] }] });
    expect(result.shapes.get('y0')).toEqual([1, 1, 1]);
  });

  it('does nothing without axes where the model asks for that', async () => {
    const attributes = { noop_with_empty_axes: 1 };
    const result = await checkGradients({ op: 'ReduceMean', attributes, inputs: [{ shape: [2, 3] }] });
    expect(result.dispatches).toBe(0);
    await checkGradients({
      op: 'ReduceMean',
      attributes,
      inputs: [{ shape: [2, 3] }],
      constants: { 1: int64Tensor([]) },
    });
  });

  it('takes an alternation of six axes', async () => {
    const constants = { 1: int64Tensor([1, 3, 5]) };
    await checkGradients({ op: 'ReduceMean', inputs: [{ shape: [2, 3, 2, 2, 3, 2] }], constants });
    const odd = { 1: int64Tensor([0, 2, 4, 6]) };
    await checkGradients({ op: 'ReduceMean', inputs: [{ shape: [2, 2, 2, 2, 2, 2, 2, 2] }], constants: odd });
  });
});
