import { conv } from './conv.ts';
import type { ConvShape } from './convShape.ts';
import { denseProduct } from './denseProduct.ts';
import type { DenseWeights } from './denseWeights.ts';
import { int8Conv } from './int8Conv.ts';
import {
  type Int8Quantizer,
  type QuantizedPlanes,
  type QuantizedRows,
  quantizePlanes,
  quantizeRows,
} from './int8Planes.ts';
import { int8Product } from './int8Product.ts';
import type { Int8Weights } from './int8Weights.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import { sparseConv } from './sparseConv.ts';
import type { SparseWeights } from './sparseFormat.ts';
import { sparseProduct } from './sparseProduct.ts';

/** A layer's weights in one of the packed forms, on the host. */
export type PackedWeights = DenseWeights | Int8Weights | SparseWeights;

/** The same in GPU memory. */
export type PackedLayer = PackedOperand<DenseWeights> | PackedOperand<Int8Weights> | PackedOperand<SparseWeights>;

/** Activations that a layer is to quantize. */
export interface ActivationInput {
  x: Operand<'f32'>;
  quantizer: Int8Quantizer;
  /** Codes that another layer made of them, by the layout: filled and used by the layers that share it. */
  codes: Map<string, QuantizedPlanes | QuantizedRows>;
}

interface LayerCall {
  weights: PackedLayer;
  /** What is multiplied: floats, or for int8 weights what is to be quantized. */
  x: Operand<'f32'> | ActivationInput;
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
  const { weights, m, label } = call;
  if (weights.form === 'int8') {
    const input = activations(call);
    const x = shared(input.codes, 'rows', () =>
      quantizeRows(recorder, { ...input.quantizer, x: input.x, m, k: weights.k, label: `${label}: quantize` }),
    );
    int8Product(recorder, { ...call, weights, x });
  } else if (weights.form === 'dense') denseProduct(recorder, { ...call, weights, x: floats(call) });
  else sparseProduct(recorder, { ...call, weights, x: floats(call) });
}

/** out = clamp(x * W + bias + residual), a convolution by the kernel of the weights' form. */
export function packedConv(recorder: Recorder, call: LayerCall & { shape: ConvShape }): void {
  const { weights, shape, label } = call;
  if (weights.form === 'int8') {
    if (call.out.elements === 0) return;
    const input = activations(call);
    const { padTop, padLeft, padBottom, padRight } = shape;
    const x = shared(input.codes, String([padTop, padLeft, padBottom, padRight]), () =>
      quantizePlanes(recorder, { ...input.quantizer, x: input.x, shape, label: `${label}: quantize` }),
    );
    int8Conv(recorder, { ...call, weights, x });
  } else if (weights.form === 'dense') conv(recorder, { ...call, weights, x: floats(call) });
  else sparseConv(recorder, { ...call, weights, x: floats(call) });
}

function shared<T extends QuantizedPlanes | QuantizedRows>(
  codes: ActivationInput['codes'],
  key: string,
  make: () => T,
): T {
  const known = codes.get(key);
  if (known) return known as T;
  const made = make();
  codes.set(key, made);
  return made;
}

function activations({ x, label }: LayerCall): ActivationInput {
  if ('quantizer' in x) return x;
  throw new Error(`${label}: int8 weights need activations with a quantizer`);
}

function floats({ x, label }: LayerCall): Operand<'f32'> {
  if (!('quantizer' in x)) return x;
  throw new Error(`${label}: these weights take activations as they are`);
}
