import { describe, expect, it } from 'vitest';
import { convGeometry as shapeOf } from '../../src/graph/infer/conv.ts';
import type { Node } from '../../src/graph/types.ts';
import { convGeometry, padInput } from '../../src/kernels/conv.ts';
import type { ConvShape } from '../../src/kernels/convShape.ts';
import { packDense } from '../../src/kernels/denseWeights.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { weightsOf } from '../../src/kernels/weightMatrix.ts';
import { winogradConv } from '../../src/kernels/winograd.ts';
import { isWinogradFaster, suitsWinograd } from '../../src/kernels/winogradChoice.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';
import { conv as reference } from '../support/reference/products.ts';
import { array64 } from '../support/reference/reference.ts';
import { randomWeights } from '../support/weightMatrices.ts';

const shapeBy = (x: number[], w: number[], attributes: Record<string, number | number[]>): ConvShape =>
  shapeOf({ name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes } as Node, x, w);

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
  it.each(cases)('%s', async (_, xShape, wShape, pads) => {
    const recorder = new DirectRecorder(await testGpu());
    const of = recorderOfKind(recorder, kind);
    const shape = shapeBy(xShape, wShape, { pads });
    const elements = (lengths: readonly number[]) => lengths.reduce((product, length) => product * length, 1);
    const xData = randomFloats(1, elements(xShape));
    const wData = randomFloats(2, elements(wShape));
    const bData = randomFloats(3, wShape[0]!);
    const inputs = [array64(xShape, xData), array64(wShape, wData), array64([wShape[0]!], bData)];
    const expected = reference({ attributes: { pads }, inputs, training: false })[0]!.data;
    const rData = randomFloats(4, expected.length);
    // Weights that begin inside their buffer.
    const [x, weights, bias, residual] = [xData, Float32Array.of(9, 9, 9, ...wData), bData, rData].map((data) =>
      recorder.upload('f32', data),
    );
    const outs = [0, 1].map(() => recorder.upload('f32', new Float32Array(expected.length).fill(Number.NaN)));
    const padded = padInput(of, x!, shape);
    const call = {
      ...convGeometry(shape, padded),
      x: padded.operand,
      weights: weights!,
      weightsOffset: 3,
      bias,
      label: 'convolution',
    };
    winogradConv(of, { ...call, out: outs[0]! });
    winogradConv(of, { ...call, out: outs[1]!, residual: residual!, lo: 0, hi: 1.5 });
    await recorder.run();
    expect(relativeError(await recorder.read(outs[0]!), expected)).toBeLessThan(1e-5);
    const bounded = expected.map((value, i) => Math.min(1.5, Math.max(0, value + rData[i]!)));
    expect(relativeError(await recorder.read(outs[1]!), bounded)).toBeLessThan(1e-5);
    recorder.dispose();
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
    const shape = shapeBy(xShape, wShape, { pads: SAME });
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
    convGeometry(shapeBy(x, w, attributes), { h: x[2]!, w: x[3]! });

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
