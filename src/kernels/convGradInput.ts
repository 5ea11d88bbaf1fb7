import { type AxisPhase, axisPhases } from './convPhases.ts';
import { type ConvShape, weightElements } from './convShape.ts';
import { floatConvAlternatives } from './floatConvAlternatives.ts';
import { convWeightsFlipShader } from './generated/conv.ts';
import type { Operand, Recorder } from './kernel.ts';
import { matmul, matrix } from './matmul.ts';
import { padPlanes } from './padPlanes.ts';
import { isPointwiseFaster } from './pointwise.ts';
import { productAlternatives } from './productAlternatives.ts';
import { spread } from './spread.ts';
import { validConv } from './validConv.ts';

/** dx = dy * weights, turned and with channels swapped: the gradient of ONNX Conv by its input. Writes all of dx. */
export function convGradInput(
  recorder: Recorder,
  { dy, weights, dx, shape }: { dy: Operand<'f32'>; weights: Operand<'f32'>; dx: Operand<'f32'>; shape: ConvShape },
): void {
  const { n, ic, ih, iw, oc, oh, ow, groups } = shape;
  if (dx.elements === 0) return;
  if (isProduct(recorder, shape)) {
    // Weights by columns, as they lie.
    matmul(recorder, {
      ...{ m: ic, n: ih * iw, k: oc, batches: n },
      a: matrix(weights, ic, true),
      b: { ...matrix(dy, ih * iw), batchStride: oc * ih * iw },
      out: { ...matrix(dx, ih * iw), batchStride: ic * ih * iw },
      alternatives: productAlternatives,
      label: 'input gradient',
    });
    return;
  }
  const axisY = axisPhases({
    input: ih,
    output: oh,
    kernel: shape.kh,
    stride: shape.strideH,
    dilation: shape.dilH,
    pad: shape.padTop,
  });
  const axisX = axisPhases({
    input: iw,
    output: ow,
    kernel: shape.kw,
    stride: shape.strideW,
    dilation: shape.dilW,
    pad: shape.padLeft,
  });
  const padded = padPlanes(recorder, {
    x: dy,
    planes: n * oc,
    h: oh,
    w: ow,
    padding: { top: axisY.before, bottom: axisY.after, left: axisX.before, right: axisX.after },
    label: 'input gradient, padding',
  });
  const plane = padded.h * padded.w;
  const flipped = recorder.temporary('f32', weightElements(shape), 'turned weights');
  let weightsOffset = 0;
  for (const y of axisY.phases) {
    for (const x of axisX.phases) {
      const size = oc * (ic / groups) * y.taps * x.taps;
      if (size > 0) flip(recorder, { weights, flipped, shape, y, x, weightsOffset });
      validConv(recorder, {
        x: padded.operand,
        // Where no tap reaches the phase, nothing is read and zeros are written.
        weights: size > 0 ? flipped : weights,
        out: dx,
        images: n,
        groups,
        groupOut: ic / groups,
        groupIn: oc / groups,
        kh: x.taps > 0 ? y.taps : 0,
        kw: y.taps > 0 ? x.taps : 0,
        oh: y.count,
        ow: x.count,
        xAt: {
          offset: size > 0 ? (y.base + axisY.before) * padded.w + x.base + axisX.before : 0,
          image: oc * plane,
          channel: plane,
          ky: axisY.spacing * padded.w,
          kx: axisX.spacing,
          oy: padded.w,
          ox: 1,
        },
        outAt: {
          offset: y.first * iw + x.first,
          image: ic * ih * iw,
          channel: ih * iw,
          oy: shape.strideH * iw,
          ox: shape.strideW,
        },
        weightsOffset: size > 0 ? weightsOffset : 0,
        alternatives: floatConvAlternatives,
        label: 'input gradient',
      });
      weightsOffset += size;
    }
  }
}

/** Of single pixels, without padding: see pointwise.ts. */
function isProduct({ capabilities }: Recorder, shape: ConvShape): boolean {
  const { n, ih, iw, oh, ow, kh, kw, strideH, strideW, groups } = shape;
  const isPixel = kh === 1 && kw === 1 && strideH === 1 && strideW === 1 && groups === 1;
  const areAllPixels = oh === ih && ow === iw;
  return (
    isPixel && areAllPixels && (capabilities.kind === 'gpu' || isPointwiseFaster(capabilities, { images: n, oh, ow }))
  );
}

function flip(
  recorder: Recorder,
  call: {
    weights: Operand<'f32'>;
    flipped: Operand<'f32'>;
    shape: ConvShape;
    y: AxisPhase;
    x: AxisPhase;
    weightsOffset: number;
  },
): void {
  const { weights, flipped, shape, y, x, weightsOffset } = call;
  const [oc, ic] = [shape.oc / shape.groups, shape.ic / shape.groups];
  const [OC, IC] = [blockOf(oc), blockOf(ic)];
  const [blocksOc, blocksIc] = [Math.ceil(oc / OC), Math.ceil(ic / IC)];
  const n = shape.groups * blocksOc * OC * blocksIc * IC;
  const { wg, span, workgroups } = spread(recorder.capabilities, n);
  recorder.dispatch(convWeightsFlipShader, {
    operands: { weights, out: flipped },
    args: {
      ...{ oc, ic, n, span },
      kh: shape.kh,
      kw: shape.kw,
      blocks_oc: blocksOc,
      blocks_ic: blocksIc,
      taps_y: y.taps,
      taps_x: x.taps,
      last_y: y.lastTap,
      last_x: x.lastTap,
      step_y: y.tapStep,
      step_x: x.tapStep,
      out_offset: weightsOffset,
    },
    tunables: { WG: wg, OC, IC, SINGLE: y.taps * x.taps === 1 },
    workgroups,
    label: 'input gradient, turned weights',
  });
}

/** Channels to a block that is turned at a time: 16, or what is no less than all of them. */
function blockOf(channels: number): number {
  return Math.min(16, 2 ** Math.ceil(Math.log2(channels)));
}
