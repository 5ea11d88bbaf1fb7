import type { ConvShape } from './convShape.ts';
import type { Operand, Recorder } from './kernel.ts';
import { padPlanes } from './padPlanes.ts';
import { validConv } from './validConv.ts';

/** x with the convolution's padding around every plane. */
export function padInput(recorder: Recorder, x: Operand<'f32'>, shape: ConvShape) {
  return padPlanes(recorder, {
    x,
    planes: shape.n * shape.ic,
    h: shape.ih,
    w: shape.iw,
    padding: { top: shape.padTop, left: shape.padLeft, bottom: shape.padBottom, right: shape.padRight },
    label: 'padding',
  });
}

/** out = clamp(x * weights + bias): ONNX Conv, groups, strides and dilations included. */
export function conv(
  recorder: Recorder,
  {
    x,
    weights,
    bias,
    out,
    shape,
    lo,
    hi,
    label = 'convolution',
  }: {
    x: Operand<'f32'>;
    /** [oc, ic / groups, kh, kw] */
    weights: Operand<'f32'>;
    bias?: Operand<'f32'>;
    out: Operand<'f32'>;
    shape: ConvShape;
    lo?: number;
    hi?: number;
    label?: string;
  },
): void {
  const { n, ic, oc, oh, ow, kh, kw, strideH, strideW, dilH, dilW, groups } = shape;
  if (out.elements === 0) return;
  const padded = padInput(recorder, x, shape);
  const plane = padded.h * padded.w;
  validConv(recorder, {
    x: padded.operand,
    weights,
    bias,
    out,
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
      image: ic * plane,
      channel: plane,
      ky: dilH * padded.w,
      kx: dilW,
      oy: strideH * padded.w,
      ox: strideW,
    },
    outAt: { offset: 0, image: oc * oh * ow, channel: oh * ow, oy: ow, ox: 1 },
    lo,
    hi,
    label,
  });
}
