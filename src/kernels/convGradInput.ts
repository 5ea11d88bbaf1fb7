import { type AxisPhase, axisPhases } from './convPhases.ts';
import { type ConvShape, weightElements } from './convShape.ts';
import { floatConvAlternatives } from './floatConvAlternatives.ts';
import { convWeightsFlipShader } from './generated/conv.ts';
import type { Operand, Recorder } from './kernel.ts';
import { matrix } from './matmul.ts';
import { padPlanes } from './padPlanes.ts';
import { recordPointwise, takesPointwise } from './pointwise.ts';
import { productAlternatives } from './productAlternatives.ts';
import { spread } from './spread.ts';
import { tunedConv, validConv } from './validConv.ts';

/** dx = dy * weights, turned and with channels swapped: the gradient of ONNX Conv by its input. Writes all of dx. */
export function convGradInput(
  recorder: Recorder,
  { dy, weights, dx, shape }: { dy: Operand<'f32'>; weights: Operand<'f32'>; dx: Operand<'f32'>; shape: ConvShape },
): void {
  const { n, ic, ih, iw, oc, oh, ow, groups } = shape;
  if (dx.elements === 0) return;
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
  // Of a larger kernel a phase may reach a single tap too.
  const isPixel = shape.kh === 1 && shape.kw === 1;
  let weightsOffset = 0;
  for (const y of axisY.phases) {
    for (const x of axisX.phases) {
      const size = oc * (ic / groups) * y.taps * x.taps;
      const call = {
        x: padded.operand,
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
        label: 'input gradient',
      };
      if (size === 0) {
        // Where no tap reaches the phase, nothing is read and zeros are written.
        validConv(recorder, { ...call, weights, alternatives: floatConvAlternatives });
      } else if (isPixel && takesPointwise(recorder.capabilities, call, tunedConv(recorder, call))) {
        // All there is to turn is a matrix.
        recordPointwise(recorder, call, matrix(weights, ic, true), productAlternatives);
      } else {
        flip(recorder, { weights, flipped, shape, y, x, weightsOffset });
        validConv(recorder, { ...call, weights: flipped, weightsOffset, alternatives: floatConvAlternatives });
      }
      weightsOffset += size;
    }
  }
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
