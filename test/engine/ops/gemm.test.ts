import { describe, it } from 'vitest';
import { checkGradients } from '../../support/gradient.ts';

describe('Gemm agrees with its definition and with central differences', () => {
  it.each([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ])('transA %i, transB %i', async (transA, transB) => {
    await checkGradients({
      op: 'Gemm',
      attributes: { transA, transB, alpha: 0.5, beta: 1.5 },
      inputs: [{ shape: transA ? [7, 5] : [5, 7] }, { shape: transB ? [9, 7] : [7, 9] }, { shape: [9] }],
    });
  });

  it.each([[[]], [[1]], [[6]], [[1, 6]], [[4, 1]], [[4, 6]], [[1, 1]]])('C of shape [%s]', async (shape) => {
    await checkGradients({ op: 'Gemm', inputs: [{ shape: [4, 3] }, { shape: [3, 6] }, { shape }] });
  });

  it('does without C', async () => {
    await checkGradients({ op: 'Gemm', attributes: { transB: 1 }, inputs: [{ shape: [1, 33] }, { shape: [10, 33] }] });
  });

  it('splits a long sum', async () => {
    await checkGradients({
      op: 'Gemm',
      attributes: { transB: 1, alpha: 0.25 },
      inputs: [{ shape: [1, 600] }, { shape: [2, 600] }, { shape: [2] }],
    });
  });
});
