import type { ConvGeometry, ValidConv } from './convCall.ts';
import type { ConvShape } from './convShape.ts';
import type { DenseWeights } from './denseWeights.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import { type PaddedPlanes, padPlanes } from './padPlanes.ts';
import { validConv } from './validConv.ts';

/** x with the convolution's padding around every plane. */
export function padInput(recorder: Recorder, x: Operand<'f32'>, shape: ConvShape): PaddedPlanes {
  return padPlanes(recorder, {
    x,
    planes: shape.n * shape.ic,
    h: shape.ih,
    w: shape.iw,
    padding: { top: shape.padTop, left: shape.padLeft, bottom: shape.padBottom, right: shape.padRight },
    label: 'padding',
  });
}

/** Where a convolution finds its taps and pixels, in planes of h × w that hold the padding. */
export function convGeometry(shape: ConvShape, { h, w }: { h: number; w: number }): ConvGeometry {
  const { n, ic, oc, oh, ow, kh, kw, strideH, strideW, dilH, dilW, groups } = shape;
  return {
    images: n,
    groups,
    groupOut: oc / groups,
    groupIn: ic / groups,
    kh,
    kw,
    oh,
    ow,
    xAt: {
      offset: 0,
      image: ic * h * w,
      channel: h * w,
      ky: dilH * w,
      kx: dilW,
      oy: strideH * w,
      ox: strideW,
    },
    outAt: { offset: 0, image: oc * oh * ow, channel: oh * ow, oy: ow, ox: 1 },
  };
}

/** out = clamp(x * weights + bias + residual): ONNX Conv, groups, strides and dilations included. */
export function conv(
  recorder: Recorder,
  {
    x,
    weights,
    bias,
    residual,
    out,
    shape,
    padded,
    lo,
    hi,
    alternatives,
    label = 'convolution',
  }: {
    x: Operand<'f32'>;
    /** x after `padInput`, where that was done before. */
    padded?: PaddedPlanes | undefined;
    /** [oc, ic / groups, kh, kw] */
    weights: Operand<'f32'> | PackedOperand<DenseWeights>;
    bias?: Operand<'f32'> | undefined;
    /** [n, oc, oh, ow], added before the bounds. */
    residual?: Operand<'f32'> | undefined;
    out: Operand<'f32'>;
    shape: ConvShape;
    lo?: number | undefined;
    hi?: number | undefined;
    alternatives?: ValidConv['alternatives'];
    label?: string;
  },
): void {
  if (out.elements === 0) return;
  const source = padded ?? padInput(recorder, x, shape);
  const geometry = convGeometry(shape, source);
  validConv(recorder, { ...geometry, x: source.operand, weights, bias, residual, out, lo, hi, alternatives, label });
}
