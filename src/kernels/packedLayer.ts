import { conv } from './conv.ts';
import type { ConvShape } from './convShape.ts';
import { denseProduct } from './denseProduct.ts';
import type { DenseWeights } from './denseWeights.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';

/** A layer's weights in one of the packed forms, on the host. */
export type PackedWeights = DenseWeights;

/** The same in GPU memory. */
export type PackedLayer = PackedOperand<DenseWeights>;

interface LayerCall {
  weights: PackedLayer;
  x: Operand<'f32'>;
  bias?: Operand<'f32'> | undefined;
  /** Added before the bounds; laid out like `out`. */
  residual?: Operand<'f32'> | undefined;
  out: Operand<'f32'>;
  lo?: number | undefined;
  hi?: number | undefined;
  label: string;
}

/** out [m, rows] = clamp(x [m, k] · Wᵀ + bias + residual) by the kernel of the weights' form. */
export function packedProduct(recorder: Recorder, call: LayerCall & { m: number }): void {
  denseProduct(recorder, call);
}

/** out = clamp(x * W + bias + residual), a convolution by the kernel of the weights' form. */
export function packedConv(recorder: Recorder, call: LayerCall & { shape: ConvShape }): void {
  conv(recorder, call);
}
