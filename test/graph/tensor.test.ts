import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/graph/errors.ts';
import { castTensor } from '../../src/graph/fold/layout.ts';
import { clampToSafeInteger, floatTensor, numel, toFloat32, toNumbers } from '../../src/graph/tensor.ts';

describe('numel', () => {
  it('multiplies, with 1 for a scalar and 0 for an empty axis', () => {
    expect(numel([])).toBe(1);
    expect(numel([2, 3, 4])).toBe(24);
    expect(numel([2, 0, 4])).toBe(0);
  });
  it.each([[[2 ** 27, 2 ** 27]], [[0, 2 ** 52, 4]], [[-1]], [[1.5]], [[Number.NaN]], [[2 ** 60]]])(
    'refuses %j',
    (shape) => {
      expect(() => numel(shape)).toThrow(InputError);
    },
  );
});

describe('conversions', () => {
  it('clamp 64-bit integers to the exact ones', () => {
    expect(clampToSafeInteger(2n ** 63n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(clampToSafeInteger(-(2n ** 63n))).toBe(Number.MIN_SAFE_INTEGER);
    expect(toNumbers({ dtype: 'int64', shape: [2], data: BigInt64Array.of(-3n, 2n ** 62n) })).toEqual([
      -3,
      2 ** 53 - 1,
    ]);
  });
  it('read float16 and bigints as float32', () => {
    expect(toFloat32({ dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0xc100) })).toEqual(
      Float32Array.of(1, -2.5),
    );
    expect(toFloat32({ dtype: 'int64', shape: [1], data: BigInt64Array.of(-7n) })).toEqual(Float32Array.of(-7));
  });
  it('cast as C does', () => {
    const x = floatTensor([4], [-1.75, 2.9, 0, 300]);
    expect(castTensor(x, 'int64').data).toEqual(BigInt64Array.of(-1n, 2n, 0n, 300n));
    expect(castTensor(x, 'bool').data).toEqual(Uint8Array.of(1, 1, 0, 1));
    expect(castTensor(castTensor(x, 'int64'), 'float32').data).toEqual(Float32Array.of(-1, 2, 0, 300));
    expect(castTensor(floatTensor([1], [Number.NaN]), 'int64').data).toEqual(BigInt64Array.of(0n));
  });
});
