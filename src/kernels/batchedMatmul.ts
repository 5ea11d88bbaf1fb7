import { LimitError } from '../gpu/errors.ts';
import type { Operand, Recorder } from './kernel.ts';
import { matmul, type ProductAlternatives } from './matmul.ts';
import { mergeBroadcast } from './strides.ts';

/** Matrices of a batch, row-major [...batch, rows, columns]; `transposed` uses them as [columns, rows]. */
export interface MatrixBatch {
  operand: Operand<'f32'>;
  batch: readonly number[];
  transposed?: boolean;
}

const MOST_PRODUCTS = 4096;

/**
 * out[...batch] = a[...batch]·b[...batch], m x k by k x n each, where the batches of a and b broadcast to `batch` (NumPy's
 * rule) and out is contiguous. The innermost run of batch axes that goes on alike in both operands is one dispatch;
 * what is left around it is one dispatch each.
 */
export function batchedMatmul(
  recorder: Recorder,
  call: {
    a: MatrixBatch;
    b: MatrixBatch;
    out: Operand<'f32'>;
    batch: readonly number[];
    m: number;
    n: number;
    k: number;
    /** As `MatmulCall.alternatives`. */
    alternatives?: ProductAlternatives | undefined;
    label?: string;
  },
): void {
  const { a, b, out, batch, m, n, k, alternatives, label } = call;
  if (out.elements === 0) return;
  const [inner = { size: 1, a: 0, b: 0 }, ...outer] = mergeBroadcast(a.batch, b.batch, batch);
  const products = outer.reduce((count, { size }) => count * size, 1);
  if (products > MOST_PRODUCTS) {
    throw new LimitError(
      `A product whose batches [${a.batch}] and [${b.batch}] alternate in broadcasting needs ${products} dispatches, more than ${MOST_PRODUCTS}`,
    );
  }
  const aSize = m * k;
  const bSize = k * n;
  for (let product = 0; product < products; product++) {
    let rest = product;
    let [aMatrix, bMatrix] = [0, 0];
    for (const axis of outer) {
      const position = rest % axis.size;
      rest = (rest - position) / axis.size;
      aMatrix += position * axis.a;
      bMatrix += position * axis.b;
    }
    matmul(recorder, {
      m,
      n,
      k,
      batches: inner.size,
      a: {
        operand: a.operand,
        rowStride: a.transposed ? 1 : k,
        columnStride: a.transposed ? m : 1,
        offset: aMatrix * aSize,
        batchStride: inner.a * aSize,
      },
      b: {
        operand: b.operand,
        rowStride: b.transposed ? 1 : n,
        columnStride: b.transposed ? k : 1,
        offset: bMatrix * bSize,
        batchStride: inner.b * bSize,
      },
      out: {
        operand: out,
        rowStride: n,
        columnStride: 1,
        offset: product * inner.size * m * n,
        batchStride: m * n,
      },
      alternatives,
      label,
    });
  }
}
