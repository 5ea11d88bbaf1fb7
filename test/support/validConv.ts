import { expect } from 'vitest';
import { convGeometry as shapeOf } from '../../src/graph/infer/conv.ts';
import type { Node } from '../../src/graph/types.ts';
import { convGeometry, padInput } from '../../src/kernels/conv.ts';
import type { ValidConv } from '../../src/kernels/convCall.ts';
import type { ConvShape } from '../../src/kernels/convShape.ts';
import { packDense } from '../../src/kernels/denseWeights.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import type { Recorder } from '../../src/kernels/kernel.ts';
import { weightsOf } from '../../src/kernels/weightMatrix.ts';
import { testGpu } from './gpu.ts';
import { randomFloats, relativeError } from './numbers.ts';
import { type KINDS, recorderOfKind } from './recorderOfKind.ts';
import { conv as reference } from './reference/products.ts';
import { array64 } from './reference/reference.ts';
import { randomWeights } from './weightMatrices.ts';

type Attributes = Record<string, number | number[]>;

export const convShapeBy = (x: number[], w: number[], attributes: Attributes): ConvShape =>
  shapeOf({ name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes } as Node, x, w);

/**
 * Holds a kernel to the convolution in float64: with weights that begin inside their buffer and a bias, then with
 * bounds, and with a residual and bounds too.
 */
export async function expectConvolution(
  kind: (typeof KINDS)[number],
  { x: xShape, w: wShape, attributes }: { x: number[]; w: number[]; attributes: Attributes },
  kernel: (recorder: Recorder, call: ValidConv) => void,
): Promise<void> {
  const recorder = new DirectRecorder(await testGpu());
  const of = recorderOfKind(recorder, kind);
  const shape = convShapeBy(xShape, wShape, attributes);
  const elements = (lengths: readonly number[]) => lengths.reduce((product, length) => product * length, 1);
  const xData = randomFloats(1, elements(xShape));
  const wData = randomFloats(2, elements(wShape));
  const bData = randomFloats(3, wShape[0]!);
  const inputs = [array64(xShape, xData), array64(wShape, wData), array64([wShape[0]!], bData)];
  const expected = reference({ attributes, inputs, training: false })[0]!.data;
  const rData = randomFloats(4, expected.length);
  const [x, weights, bias, residual] = [xData, Float32Array.of(9, 9, 9, ...wData), bData, rData].map((data) =>
    recorder.upload('f32', data),
  );
  const outs = [0, 1, 2].map(() => recorder.upload('f32', new Float32Array(expected.length).fill(Number.NaN)));
  const padded = padInput(of, x!, shape);
  const call = {
    ...convGeometry(shape, padded),
    x: padded.operand,
    weights: weights!,
    weightsOffset: 3,
    bias,
    label: 'convolution',
  };
  kernel(of, { ...call, out: outs[0]! });
  kernel(of, { ...call, out: outs[1]!, residual: residual!, lo: 0, hi: 1.5 });
  kernel(of, { ...call, out: outs[2]!, lo: 0, hi: 1.5 });
  await recorder.run();
  expect(relativeError(await recorder.read(outs[0]!), expected)).toBeLessThan(1e-5);
  const bounded = (value: number) => Math.min(1.5, Math.max(0, value));
  const added = expected.map((value, i) => bounded(value + rData[i]!));
  expect(relativeError(await recorder.read(outs[1]!), added)).toBeLessThan(1e-5);
  expect(relativeError(await recorder.read(outs[2]!), expected.map(bounded))).toBeLessThan(1e-5);
  recorder.dispose();
}

/** Formats of packed weights that differ in how a kernel reads them. */
export const PACKED_FORMATS = ['f16', 'int8', 'int7', 'int4', 'int3/24', 'int1z', 'table4/64'];

/** Holds a kernel to the convolution in float64, by 3 × 3 packed weights. */
export async function expectPackedConvolution(
  format: string,
  kernel: (recorder: Recorder, call: ValidConv) => void,
): Promise<void> {
  const recorder = new DirectRecorder(await testGpu());
  const [xShape, wShape, pads] = [
    [2, 8, 11, 9],
    [13, 8, 3, 3],
    [1, 1, 1, 1],
  ];
  const shape = convShapeBy(xShape!, wShape!, { pads: pads! });
  const matrix = randomWeights(format, 13, 72);
  const xData = randomFloats(1, 2 * 8 * 11 * 9);
  const inputs = [array64(xShape!, xData), array64(wShape!, weightsOf(matrix))];
  const expected = reference({ attributes: { pads: pads! }, inputs, training: false })[0]!.data;
  const { words, ...layout } = packDense(matrix);
  const padded = padInput(recorder, recorder.upload('f32', xData), shape);
  const out = recorder.upload('f32', new Float32Array(expected.length).fill(Number.NaN));
  const weights = { ...layout, operand: recorder.upload('u32', words) };
  kernel(recorder, { ...convGeometry(shape, padded), x: padded.operand, weights, out, label: 'convolution' });
  await recorder.run();
  expect(relativeError(await recorder.read(out), expected)).toBeLessThan(1e-5);
  recorder.dispose();
}
