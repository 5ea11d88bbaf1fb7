import { describe, expect, it } from 'vitest';
import { convGeometry, padInput } from '../../src/kernels/conv.ts';
import { packDense } from '../../src/kernels/denseWeights.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { weightsOf } from '../../src/kernels/weightMatrix.ts';
import { winogradConv } from '../../src/kernels/winograd.ts';
import { isWinogradFaster, suitsWinograd } from '../../src/kernels/winogradChoice.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS } from '../support/recorderOfKind.ts';
import { conv as reference } from '../support/reference/products.ts';
import { array64 } from '../support/reference/reference.ts';
import { convShapeBy, expectConvolution } from '../support/validConv.ts';
import { randomWeights } from '../support/weightMatrices.ts';

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

it.each(['f16', 'int8', 'int7', 'int4', 'int3/24', 'int1z', 'table4/64'])(
  'takes packed weights: %s',
  async (format) => {
    const recorder = new DirectRecorder(await testGpu());
    const [xShape, wShape] = [
      [2, 8, 11, 9],
      [13, 8, 3, 3],
    ];
    const shape = convShapeBy(xShape, wShape, { pads: SAME });
    const matrix = randomWeights(format, 13, 72);
    const xData = randomFloats(1, 2 * 8 * 11 * 9);
    const inputs = [array64(xShape, xData), array64(wShape, weightsOf(matrix))];
    const expected = reference({ attributes: { pads: SAME }, inputs, training: false })[0]!.data;
    const { words, ...layout } = packDense(matrix);
    const padded = padInput(recorder, recorder.upload('f32', xData), shape);
    const out = recorder.upload('f32', new Float32Array(expected.length).fill(Number.NaN));
    const weights = { ...layout, operand: recorder.upload('u32', words) };
    winogradConv(recorder, { ...convGeometry(shape, padded), x: padded.operand, weights, out, label: 'convolution' });
    await recorder.run();
    expect(relativeError(await recorder.read(out), expected)).toBeLessThan(1e-5);
    recorder.dispose();
  },
);

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
      expect(chosen(adapter, 32, 16, 16, 32)).toBe(true);
      expect(chosen(adapter, 32, 32, 32, 16)).toBe(true);
      expect(chosen(adapter, 32, 64, 64, 8)).toBe(true);
      expect(chosen(adapter, 1, 16, 16, 32)).toBe(false);
      expect(chosen(adapter, 16, 3, 16, 32)).toBe(false);
    }
    // Half of lavapipe's tile would be empty, and transforming the weights takes long.
    expect([lavapipe, swiftShader].map((adapter) => chosen(adapter, 1, 512, 512, 7))).toEqual([false, true]);
    expect(chosen(gpu, 16, 64, 64, 32)).toBe(false);
  });
});
