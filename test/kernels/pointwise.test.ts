import { describe, expect, it } from 'vitest';
import { convGeometry } from '../../src/kernels/conv.ts';
import { POINTWISE, STRIPS } from '../../src/kernels/convCall.ts';
import { pointwise, suitsPointwise, takesPointwise } from '../../src/kernels/pointwise.ts';
import { productAlternatives } from '../../src/kernels/productAlternatives.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { validConv } from '../../src/kernels/validConv.ts';
import { KINDS } from '../support/recorderOfKind.ts';
import { convShapeBy, expectConvolution } from '../support/validConv.ts';

const cases: [name: string, x: number[], w: number[]][] = [
  ['many channels', [2, 70, 9, 9], [40, 70, 1, 1]],
  ['few channels', [3, 5, 12, 16], [18, 5, 1, 1]],
  ['one image', [1, 33, 8, 20], [24, 33, 1, 1]],
  ['one pixel', [5, 20, 1, 1], [7, 20, 1, 1]],
  ['one axis', [2, 12, 50], [9, 12, 1]],
  ['long sums of few pixels', [1, 900, 2, 2], [3, 900, 1, 1]],
  ['long sums of few pixels, several images', [3, 1500, 2, 2], [3, 1500, 1, 1]],
];

describe.each(KINDS)('convolution of single pixels as a %s multiplies it', (kind) => {
  it.each(cases)('%s', async (_, x, w) => {
    const asProduct = pointwise(productAlternatives);
    await expectConvolution(kind, { x, w, attributes: {} }, (recorder, call) => {
      const isTaken = asProduct(recorder, call, POINTWISE);
      expect(isTaken).toBe(call.residual === undefined);
      if (!isTaken) validConv(recorder, call);
    });
  });
});

describe('whether a convolution is a product', () => {
  const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
  const gpu: Adapter = { kind: 'gpu', subgroupSize: 32 };
  const geometryOf = (x: number[], w: number[], attributes: Record<string, number | number[]> = {}) => {
    const shape = convShapeBy(x, w, attributes);
    return convGeometry(shape, {
      h: shape.ih + shape.padTop + shape.padBottom,
      w: shape.iw + shape.padLeft + shape.padRight,
    });
  };

  it('takes one tap, one group, and planes without gaps', () => {
    const suits = (...of: Parameters<typeof geometryOf>) => suitsPointwise(geometryOf(...of));
    expect(suits([2, 6, 9, 9], [4, 6, 1, 1])).toBe(true);
    expect(suits([2, 6, 9, 9], [4, 6, 1, 3])).toBe(false);
    expect(suits([2, 6, 9, 9], [4, 3, 1, 1], { group: 2 })).toBe(false);
    expect(suits([2, 6, 9, 9], [4, 6, 1, 1], { strides: [2, 2] })).toBe(false);
    expect(suits([2, 6, 9, 9], [4, 6, 1, 1], { strides: [2, 1] })).toBe(false);
    const apart = geometryOf([2, 6, 9, 9], [4, 6, 1, 1]);
    expect(suitsPointwise({ ...apart, xAt: { ...apart.xAt, oy: 12 } })).toBe(false);
    expect(suitsPointwise({ ...apart, outAt: { ...apart.outAt, ox: 2 } })).toBe(false);
    expect(suitsPointwise({ ...apart, outAt: { ...apart.outAt, channel: 100 } })).toBe(false);
  });

  it('is measured, or the rule for adapters that run on a CPU, unless many small planes leave tiles empty', () => {
    const geometry = geometryOf([4, 64, 16, 16], [128, 64, 1, 1]);
    expect(takesPointwise(lavapipe, geometry, undefined)).toBe(true);
    expect(takesPointwise(lavapipe, geometryOf([1, 64, 7, 7], [128, 64, 1, 1]), undefined)).toBe(true);
    expect(takesPointwise(lavapipe, geometryOf([16, 64, 7, 7], [128, 64, 1, 1]), undefined)).toBe(false);
    expect(takesPointwise(gpu, geometry, undefined)).toBe(false);
    expect(takesPointwise({ kind: 'cpu' }, geometry, undefined)).toBe(false);
    expect(takesPointwise(gpu, geometry, POINTWISE)).toBe(true);
    expect(takesPointwise(lavapipe, geometry, STRIPS)).toBe(false);
    expect(takesPointwise(lavapipe, { ...geometry, residual: { dtype: 'f32', elements: 9 } }, POINTWISE)).toBe(false);
    expect(takesPointwise(lavapipe, { ...geometry, weights: { bits: 4, group: 64, k: 64 } as never }, undefined)).toBe(
      false,
    );
  });
});
