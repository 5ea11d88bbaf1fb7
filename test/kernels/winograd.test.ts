import { describe, expect, it } from 'vitest';
import { convGeometry } from '../../src/kernels/conv.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { winogradConv } from '../../src/kernels/winograd.ts';
import { isWinogradFaster, suitsWinograd } from '../../src/kernels/winogradChoice.ts';
import { KINDS } from '../support/recorderOfKind.ts';
import { convShapeBy, expectConvolution, expectPackedConvolution, PACKED_FORMATS } from '../support/validConv.ts';

const SAME = [1, 1, 1, 1];
const cases: [name: string, x: number[], w: number[], pads: number[]][] = [
  ['whole tiles side by side', [2, 8, 16, 16], [16, 8, 3, 3], SAME],
  ['an odd number of rows and columns', [2, 5, 11, 13], [21, 5, 3, 3], SAME],
  ['odd rows of tiles side by side', [1, 4, 9, 15], [4, 4, 3, 3], SAME],
  ['no padding', [1, 7, 10, 12], [3, 7, 3, 3], [0, 0, 0, 0]],
  ['uneven padding', [3, 6, 7, 6], [18, 6, 3, 3], [0, 2, 1, 3]],
  ['one pixel', [1, 1, 3, 3], [1, 1, 3, 3], [0, 0, 0, 0]],
  ['more channels than a tile', [1, 35, 6, 6], [37, 35, 3, 3], SAME],
  ['images in several parts', [14, 4, 38, 38], [24, 4, 3, 3], SAME],
];

describe.each(KINDS)('Winograd convolution as a %s computes it', (kind) => {
  it.each(cases)('%s', async (_, x, w, pads) => {
    await expectConvolution(kind, { x, w, attributes: { pads } }, winogradConv);
  });
});

it.each(PACKED_FORMATS)('takes packed weights: %s', async (format) => {
  await expectPackedConvolution(format, winogradConv);
});

describe('Winograd’s way', () => {
  const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
  const swiftShader: Adapter = { kind: 'cpu', subgroupSize: 4 };
  const gpu: Adapter = { kind: 'gpu', subgroupSize: 32 };
  const geometry = (x: number[], w: number[], attributes: Record<string, number | number[]> = {}) =>
    convGeometry(convShapeBy(x, w, attributes), { h: x[2]!, w: x[3]! });

  it('is for 3 × 3 taps at every pixel', () => {
    const x = [1, 8, 12, 12];
    expect(suitsWinograd(geometry(x, [8, 8, 3, 3]))).toBe(true);
    expect(suitsWinograd(geometry(x, [8, 8, 3, 3], { strides: [2, 2] }))).toBe(false);
    expect(suitsWinograd(geometry(x, [8, 8, 3, 3], { strides: [2, 1] }))).toBe(false);
    expect(suitsWinograd(geometry(x, [8, 8, 3, 3], { dilations: [1, 2] }))).toBe(false);
    expect(suitsWinograd(geometry(x, [8, 8, 3, 3], { dilations: [2, 1] }))).toBe(false);
    expect(suitsWinograd(geometry(x, [8, 4, 3, 3], { group: 2 }))).toBe(false);
    expect(suitsWinograd(geometry(x, [8, 8, 3, 1]))).toBe(false);
  });

  it('is chosen where it was measured to be faster', () => {
    const chosen = (adapter: Adapter, n: number, ic: number, oc: number, size: number) =>
      isWinogradFaster(adapter, geometry([n, ic, size + 2, size + 2], [oc, ic, 3, 3]));
    for (const adapter of [lavapipe, swiftShader]) {
      expect(chosen(adapter, 16, 64, 64, 32)).toBe(true);
      expect(chosen(adapter, 32, 32, 32, 16)).toBe(true);
      expect(chosen(adapter, 32, 64, 64, 8)).toBe(true);
      expect(chosen(adapter, 1, 16, 16, 32)).toBe(false);
      expect(chosen(adapter, 16, 3, 16, 32)).toBe(false);
    }
    // Strips are faster there.
    expect([lavapipe, swiftShader].map((adapter) => chosen(adapter, 32, 16, 16, 32))).toEqual([false, false]);
    // Half of lavapipe's tile would be empty, and transforming the weights takes long.
    expect([lavapipe, swiftShader].map((adapter) => chosen(adapter, 1, 512, 512, 7))).toEqual([false, true]);
    expect(chosen(gpu, 16, 64, 64, 32)).toBe(false);
  });

  it('is chosen for more where weights are packed: strips of them are slow on SwiftShader', () => {
    const chosen = (adapter: Adapter, n: number, ic: number, oc: number, size: number, bits: number) => {
      const weights = { bits, table: false, group: 9 * ic, k: 9 * ic };
      return isWinogradFaster(adapter, { ...geometry([n, ic, size + 2, size + 2], [oc, ic, 3, 3]), weights });
    };
    const layers: [n: number, ic: number, oc: number, size: number][] = [
      [32, 16, 16, 32],
      [8, 12, 12, 28],
      [32, 32, 32, 16],
      [32, 64, 64, 8],
      [32, 8, 8, 28],
      [32, 3, 16, 32],
    ];
    const by = (adapter: Adapter, bits: number) => layers.map((layer) => chosen(adapter, ...layer, bits));
    for (const bits of [4, 8]) expect(by(swiftShader, bits)).toEqual([true, true, true, true, false, false]);
    expect(by(swiftShader, 32)).toEqual([false, false, true, true, false, false]);
    expect(by(lavapipe, 4).slice(2)).toEqual([true, true, false, false]);
  });

  it.each([
    [1, 64, 64, 16, [false, true], [true, true]],
    [1, 128, 128, 14, [false, true], [true, true]],
    [8, 64, 64, 4, [false, true], [true, true]],
    [8, 128, 128, 4, [false, true], [true, true]],
    [1, 64, 64, 8, [false, false], [false, false]], // shorter than its compilation is worth on SwiftShader
    [1, 32, 32, 16, [false, false], [false, false]],
    [1, 32, 64, 8, [false, false], [false, false]],
    [4, 32, 64, 8, [false, true], [true, true]],
    [1, 16, 16, 32, [false, false], [false, false]],
    [1, 128, 128, 4, [false, false], [false, false]],
    [1, 512, 512, 4, [false, false], [false, false]],
  ])(
    'is chosen for more where weights are transformed once: %i images, %i to %i channels, %i²',
    (n, ic, oc, size, each, once) => {
      const by = (isConstant: boolean) =>
        [lavapipe, swiftShader].map((adapter) =>
          isWinogradFaster(adapter, geometry([n, ic, size + 2, size + 2], [oc, ic, 3, 3]), isConstant),
        );
      expect([by(false), by(true)]).toEqual([each, once]);
    },
  );
});
