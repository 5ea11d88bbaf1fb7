import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lengthClass, parseShapeKey, shapeKey } from '../../../src/kernels/tune/keys.ts';

describe('keys', () => {
  it('come back as they were', () => {
    const dims = { m: 64, n: 10, kh: 3 };
    expect(parseShapeKey(shapeKey('conv', dims))).toEqual({ kernel: 'conv', dims });
    for (const text of ['conv m', 'conv m-1', 'conv 3', 'conv m1.5']) expect(parseShapeKey(text)).toBeUndefined();
  });

  it('round lengths up by less than a quarter, and keep what is a class already', () => {
    expect([1, 32, 33, 37, 100, 1000, 1024, 1025].map(lengthClass)).toEqual([1, 32, 40, 40, 112, 1024, 1024, 1280]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1 << 24 }), (length) => {
        const rounded = lengthClass(length);
        expect(rounded).toBeGreaterThanOrEqual(length);
        expect(rounded).toBeLessThan(1.25 * length + 1);
        expect(lengthClass(rounded)).toBe(rounded);
      }),
    );
  });
});
