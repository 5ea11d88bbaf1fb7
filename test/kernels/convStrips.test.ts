import { describe, expect, it } from 'vitest';
import { convGeometry } from '../../src/kernels/conv.ts';
import { STRIPS, WINOGRAD } from '../../src/kernels/convCall.ts';
import { stripsConv } from '../../src/kernels/convStrips.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { areStripsFaster, stripTiles, suitsStrips, takesStrips } from '../../src/kernels/stripsChoice.ts';
import { convShapeBy, expectConvolution, expectPackedConvolution, PACKED_FORMATS } from '../support/validConv.ts';

type Attributes = Record<string, number | number[]>;

const SAME = [1, 1, 1, 1];
const cases: [name: string, x: number[], w: number[], attributes: Attributes][] = [
  ['whole quads', [2, 8, 16, 16], [16, 8, 3, 3], { pads: SAME }],
  ['overlapping quads', [2, 5, 11, 13], [21, 5, 3, 3], { pads: SAME }],
  ['rows of one quad', [3, 4, 9, 6], [4, 4, 3, 3], {}],
  ['one pixel more than a quad', [1, 7, 10, 7], [3, 7, 3, 3], {}],
  ['six channels of 5x5', [4, 16, 10, 10], [6, 16, 5, 5], { pads: [4, 4, 4, 4] }],
  ['two columns', [2, 3, 8, 11], [10, 3, 3, 2], {}],
  ['eight columns and rows', [1, 3, 17, 21], [12, 3, 8, 8], {}],
  ['seven columns, one row', [2, 2, 5, 18], [2, 2, 1, 7], {}],
  ['one channel', [1, 1, 12, 12], [1, 1, 6, 6], {}],
  ['more channels than a tile', [1, 35, 6, 6], [37, 35, 3, 3], { pads: SAME }],
  ['groups', [2, 12, 9, 11], [18, 4, 3, 4], { group: 3 }],
  ['rows apart', [2, 4, 13, 9], [9, 4, 3, 3], { strides: [2, 1], dilations: [3, 1] }],
];

const shapeOf = (x: number[], w: number[], attributes: Attributes = {}) =>
  convGeometry(convShapeBy(x, w, attributes), { h: x[2]!, w: x[3]! });

describe('convolution by strips', () => {
  it.each(cases)('%s', async (_, x, w, attributes) => {
    await expectConvolution('cpu', { x, w, attributes }, stripsConv);
  });

  it.each(PACKED_FORMATS)('takes packed weights: %s', async (format) => {
    await expectPackedConvolution(format, stripsConv);
  });
});

describe('strips', () => {
  const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
  const swiftShader: Adapter = { kind: 'cpu', subgroupSize: 4 };
  const others: Adapter[] = [
    { kind: 'cpu', subgroupSize: undefined },
    { kind: 'gpu', subgroupSize: 32 },
  ];

  it('are for several taps one apart, for pixels one apart, and for rows of a quad at least', () => {
    const x = [1, 8, 12, 12];
    expect(suitsStrips(shapeOf(x, [8, 8, 3, 3]))).toBe(true);
    expect(suitsStrips(shapeOf(x, [8, 8, 1, 8]))).toBe(true);
    expect(suitsStrips(shapeOf(x, [8, 8, 3, 1]))).toBe(false);
    expect(suitsStrips(shapeOf(x, [8, 8, 9, 3]))).toBe(false);
    expect(suitsStrips(shapeOf(x, [8, 8, 3, 9]))).toBe(false);
    expect(suitsStrips(shapeOf(x, [8, 8, 3, 3], { strides: [1, 2] }))).toBe(false);
    expect(suitsStrips(shapeOf(x, [8, 8, 3, 3], { dilations: [1, 2] }))).toBe(false);
    expect(suitsStrips(shapeOf([1, 8, 12, 5], [8, 8, 3, 3]))).toBe(false);
  });

  it('are cut into as many channels as there are, if a tile has so many', () => {
    const rows = (adapter: Adapter, oc: number) => stripTiles(adapter, shapeOf([8, 4, 14, 14], [oc, 4, 3, 3]))?.rows;
    expect([1, 4, 6, 16, 18, 64].map((oc) => rows(lavapipe, oc))).toEqual([2, 4, 6, 16, 10, 16]);
    expect([1, 4, 6, 16, 18, 64].map((oc) => rows(swiftShader, oc))).toEqual([2, 4, 8, 8, 8, 8]);
    for (const adapter of others) expect(rows(adapter, 16)).toBeUndefined();
  });

  it('have two quads per lane where that was measured to be faster', () => {
    const quads = (adapter: Adapter, oc: number, size: number) =>
      stripTiles(adapter, shapeOf([8, 4, 14, 14], [oc, 4, size, size]))?.quads;
    for (const adapter of [lavapipe, swiftShader]) {
      expect([4, 8].map((oc) => quads(adapter, oc, 3))).toEqual([1, 2]);
      expect([4, 6, 8].map((oc) => quads(adapter, oc, 5))).toEqual([2, 2, 2]);
    }
    expect([lavapipe, swiftShader].map((adapter) => quads(adapter, 16, 3))).toEqual([1, 2]);
  });

  it('are chosen where they were measured to be faster', () => {
    const chosen = (adapter: Adapter, n: number, [ic, oc, size, ow]: [number, number, number, number]) =>
      areStripsFaster(adapter, shapeOf([n, ic, ow + size - 1, ow + size - 1], [oc, ic, size, size]));
    const lenet5: [number, number, number, number][] = [
      [1, 6, 5, 28],
      [6, 16, 5, 10],
      [16, 6, 5, 14],
    ];
    expect(lenet5.map((layer) => chosen(lavapipe, 64, layer))).toEqual([true, true, true]);
    expect(lenet5.map((layer) => chosen(swiftShader, 64, layer))).toEqual([true, true, true]);
    expect([lavapipe, swiftShader].map((adapter) => chosen(adapter, 32, [16, 16, 3, 32]))).toEqual([true, true]);
    // There, one image of few channels is not worth the compilation.
    expect([lavapipe, swiftShader].map((adapter) => chosen(adapter, 1, [16, 16, 3, 32]))).toEqual([true, false]);
    for (const adapter of others) expect(chosen(adapter, 32, [16, 16, 3, 32])).toBe(false);
    // Groups of so few channels are summed directly.
    expect(areStripsFaster(lavapipe, shapeOf([8, 8, 12, 12], [8, 1, 3, 3], { group: 8 }))).toBe(false);
  });

  it('unpack weights one by one, which is not worth it on SwiftShader but for one channel', () => {
    const chosen = (
      adapter: Adapter,
      n: number,
      [ic, oc, size, ow]: [number, number, number, number],
      bits: number,
    ) => {
      const k = ic * size * size;
      const weights = { bits, table: false, group: k, k };
      const shape = shapeOf([n, ic, ow + size - 1, ow + size - 1], [oc, ic, size, size]);
      return takesStrips(adapter, { ...shape, weights }, undefined);
    };
    const layers: [number, number, number, number][] = [
      [1, 6, 5, 28],
      [6, 16, 5, 10],
      [16, 6, 5, 14],
      [16, 16, 3, 32],
      [32, 32, 5, 8],
    ];
    for (const bits of [4, 8]) {
      expect(layers.map((layer) => chosen(lavapipe, 64, layer, bits))).toEqual([true, true, true, true, true]);
      expect(layers.map((layer) => chosen(swiftShader, 64, layer, bits))).toEqual([true, false, false, false, false]);
    }
    expect(layers.map((layer) => chosen(swiftShader, 64, layer, 32))).toEqual([true, true, true, true, true]);
  });

  it('follow a measurement', () => {
    const layer = shapeOf([32, 16, 34, 34], [16, 16, 3, 3]);
    expect(takesStrips(lavapipe, layer, WINOGRAD)).toBe(false);
    expect(takesStrips(swiftShader, layer, STRIPS)).toBe(true);
    expect(takesStrips(others[1]!, layer, STRIPS)).toBe(false);
  });
});
