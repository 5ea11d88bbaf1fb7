import { describe, it } from 'vitest';
import { checkGradients } from '../../support/gradient.ts';

describe('MatMul agrees with its definition and with central differences', () => {
  it.each([
    ['matrices', [5, 7], [7, 6]],
    ['a batch', [3, 4, 5], [3, 5, 2]],
    ['a weight for a batch', [2, 3, 4, 5], [5, 6]],
    ['a matrix for a batch on the right', [4, 5], [3, 5, 2]],
    ['batches that broadcast', [2, 1, 3, 4], [3, 4, 2]],
    ['batches that broadcast both ways', [1, 3, 2, 2], [2, 1, 2, 3]],
    ['batches that alternate', [2, 1, 2, 2, 3], [1, 3, 2, 3, 2]],
    ['a vector on the left', [4], [2, 4, 3]],
    ['a vector on the right', [2, 3, 4], [4]],
    ['vectors', [6], [6]],
    ['one row', [1, 40], [40, 3]],
  ])('%s', async (_, a, b) => {
    await checkGradients({ op: 'MatMul', inputs: [{ shape: a }, { shape: b }] });
  });
});
