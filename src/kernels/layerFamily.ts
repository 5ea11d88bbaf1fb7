import type { PackingChoice } from './chooseDense.ts';
import type { ConvAlternatives } from './convCall.ts';
import type { ConvShape } from './convShape.ts';
import type { DenseWeights } from './denseWeights.ts';
import type { Int8Quantizer, QuantizedPlanes, QuantizedRows } from './int8Planes.ts';
import type { Int8Weights } from './int8Weights.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import type { PlanePadding } from './padPlanes.ts';
import type { SparseWeights } from './sparseFormat.ts';
import type { Steps } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** A layer's weights in one of the packed forms, on the host. */
export type PackedWeights = DenseWeights | Int8Weights | SparseWeights;

/** What is said of their layout, without the words. */
export type PackedLayout = Omit<DenseWeights, 'words'> | Omit<Int8Weights, 'words'> | Omit<SparseWeights, 'words'>;

/** The weights in GPU memory. */
export type PackedLayer = PackedOperand<DenseWeights> | PackedOperand<Int8Weights> | PackedOperand<SparseWeights>;

/** Weights that lie in memory in fewer words than their kernel reads. */
export interface StoredWeights {
  /** The form that the kernel reads. */
  readonly layer: PackedLayout;
  readonly words: Uint32Array;
  /** How they are stored. */
  readonly coding: string;
  /** Records what makes the kernel's words, in a temporary, and a float32 bias of one that is kept in half precision. */
  expand(
    recorder: Recorder,
    call: { stored: Operand<'u32'>; halfBias?: Operand<'u32'> | undefined; label?: string },
  ): { operand: Operand<'u32'>; bias: Operand<'f32'> | undefined };
}

/** Activations that a layer is to quantize. */
export interface ActivationInput {
  /** Undefined where the layer before it wrote codes and nothing else. */
  x: Operand<'f32'> | undefined;
  quantizer: Int8Quantizer;
  /** Of images: the border that all convolutions which read the codes agree on. */
  padding: PlanePadding | undefined;
  /** Codes that another layer made of them, by the layout: filled and used by the layers that share it. */
  codes: Map<string, QuantizedPlanes | QuantizedRows>;
}

/** Images that a convolution is to quantize for the layers after it. */
export interface CodesOutput {
  quantizer: Int8Quantizer;
  padding: PlanePadding;
  /** Where those layers find them. */
  codes: ActivationInput['codes'];
}

export interface LayerCall {
  weights: PackedLayer;
  /** What is multiplied: floats, or for int8 weights what is to be quantized. */
  x: Operand<'f32'> | ActivationInput;
  bias?: Operand<'f32'> | undefined;
  /** Added before the bounds; laid out like `out`. */
  residual?: Operand<'f32'> | undefined;
  out: Operand<'f32'>;
  lo?: number | undefined;
  hi?: number | undefined;
  /** Of float sums; kernels of integers heed it not. */
  alternatives?: ConvAlternatives | undefined;
  label: string;
}

export interface ConvCall extends Omit<LayerCall, 'out'> {
  shape: ConvShape;
  /** Undefined where only codes are wanted. */
  out: Operand<'f32'> | undefined;
  /** Only where `LayerKernels.writesCodes`. */
  codes?: CodesOutput | undefined;
}

/** The kernels of a form of packed weights. */
export interface LayerKernels {
  /** Convolutions quantize what they compute, where asked to. */
  readonly writesCodes?: boolean;
  /** out [m, rows] = clamp(x [m, k] · Wᵀ + bias + residual). */
  product(recorder: Recorder, call: LayerCall & { m: number }): void;
  /** out = clamp(x * W + bias + residual), a convolution. */
  conv(recorder: Recorder, call: ConvCall): void;
}

/**
 * A form of packed weights: how they are packed, and the kernels that read them. Each is a module of its own, so that a
 * page loads those that its network has.
 */
export interface LayerFamily extends LayerKernels {
  packing(matrix: WeightMatrix, choice: PackingChoice, use: { groups: number; taps: number }): Steps<PackedWeights>;
}

export function floats({ x, label }: Pick<LayerCall, 'x' | 'label'>): Operand<'f32'> {
  if (!('quantizer' in x)) return x;
  throw new Error(`${label}: these weights take activations as they are`);
}

export function floatsOut({ out, label }: ConvCall): Operand<'f32'> {
  if (out) return out;
  throw new Error(`${label}: these weights give floats`);
}
