import type { Operand, Recorder } from './kernel.ts';
import { type SparseOperand, sparseDispatch } from './sparseDispatch.ts';

/**
 * out = clamp(x·Wᵀ + bias + residual) for sparse W = [rows, k]: a dense layer. x = [m, k], out and residual = [m, rows],
 * bias = [rows]. What is not in W is not multiplied: a NaN in x spreads only to rows that have a weight for it.
 */
export function sparseProduct(
  recorder: Recorder,
  call: {
    weights: SparseOperand;
    x: Operand<'f32'>;
    bias?: Operand<'f32'> | undefined;
    residual?: Operand<'f32'> | undefined;
    out: Operand<'f32'>;
    m: number;
    lo?: number | undefined;
    hi?: number | undefined;
    label?: string;
  },
): void {
  const { weights, m, label = 'sparse product' } = call;
  const { rows, k, groups } = weights;
  if (groups !== 1)
    throw new Error(`${label}: weights packed in ${groups} groups are a convolution's, not a product's`);
  sparseDispatch(recorder, {
    ...call,
    n: m,
    kw: 1,
    khw: 1,
    xAt: { channel: 1, ky: 0, kx: 0, image: k, group: 0, oy: 0, ox: 0 },
    ow: 1,
    ohw: 1,
    outAt: { image: rows, row: 1 },
    label,
  });
}
