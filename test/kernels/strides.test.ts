import { describe, expect, it } from 'vitest';
import { mergeBroadcast, mergeReduction } from '../../src/kernels/strides.ts';

describe('mergeBroadcast', () => {
  it('takes equal shapes for one axis', () => {
    expect(mergeBroadcast([2, 3, 4], [2, 3, 4], [2, 3, 4])).toEqual([{ size: 24, a: 1, b: 1 }]);
  });

  it('merges axes that both operands walk alike', () => {
    expect(mergeBroadcast([2, 3, 4, 5], [3, 1, 1], [2, 3, 4, 5])).toEqual([
      { size: 20, a: 1, b: 0 },
      { size: 3, a: 20, b: 1 },
      { size: 2, a: 60, b: 0 },
    ]);
  });

  it('drops axes of length 1, which hold nothing apart', () => {
    expect(mergeBroadcast([2, 1, 3], [2, 1, 3], [2, 1, 3])).toEqual([{ size: 6, a: 1, b: 1 }]);
    expect(mergeBroadcast([], [1, 1], [1, 1])).toEqual([]);
  });

  it('keeps what broadcasts both ways apart', () => {
    expect(mergeBroadcast([3, 1], [1, 4], [3, 4])).toEqual([
      { size: 4, a: 0, b: 1 },
      { size: 3, a: 1, b: 0 },
    ]);
  });
});

describe('mergeReduction', () => {
  it('merges neighbours, innermost first', () => {
    expect(mergeReduction([2, 3, 4, 5], [0, 2, 3])).toEqual({
      kept: [{ size: 3, stride: 20 }],
      reduced: [
        { size: 20, stride: 1 },
        { size: 2, stride: 60 },
      ],
      innermostReduced: true,
    });
  });

  it('looks through axes of length 1', () => {
    expect(mergeReduction([4, 1, 5], [1])).toEqual({
      kept: [{ size: 20, stride: 1 }],
      reduced: [],
      innermostReduced: false,
    });
  });
});
