import { padInput } from './conv.ts';
import type { ConvShape } from './convShape.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { PaddedPlanes } from './padPlanes.ts';
import { type SparseOperand, sparseDispatch } from './sparseDispatch.ts';

/**
 * out = clamp(x * weights + bias + residual) as `conv`, for sparse weights that were packed with the convolution's groups.
 * residual is of out's shape. What is not in the weights is not multiplied: a NaN in x spreads only to channels that have
 * a weight for it.
 */
export function sparseConv(
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
    label = 'sparse convolution',
  }: {
    x: Operand<'f32'>;
    /** x after `padInput`, where that was done before. */
    padded?: PaddedPlanes | undefined;
    weights: SparseOperand;
    bias?: Operand<'f32'> | undefined;
    residual?: Operand<'f32'> | undefined;
    out: Operand<'f32'>;
    shape: ConvShape;
    lo?: number | undefined;
    hi?: number | undefined;
    label?: string;
  },
): void {
  const { n, ic, oc, oh, ow, kh, kw, strideH, strideW, dilH, dilW, groups } = shape;
  const k = (ic / groups) * kh * kw;
  if (weights.groups !== groups || weights.rows !== oc || weights.k !== k) {
    throw new Error(
      `${label}: weights packed as ${weights.rows} x ${weights.k} in ${weights.groups} groups, not as ${oc} x ${k} in ${groups}`,
    );
  }
  if (out.elements === 0) return;
  const source = padded ?? padInput(recorder, x, shape);
  const plane = source.h * source.w;
  sparseDispatch(recorder, {
    weights,
    x: source.operand,
    bias,
    residual,
    out,
    n: n * oh * ow,
    kw,
    khw: kh * kw,
    xAt: {
      channel: plane,
      ky: dilH * source.w,
      kx: dilW,
      image: ic * plane,
      group: (ic / groups) * plane,
      oy: strideH * source.w,
      ox: strideW,
    },
    ow,
    ohw: oh * ow,
    outAt: { image: oc * oh * ow, row: oh * ow },
    lo,
    hi,
    label,
  });
}
