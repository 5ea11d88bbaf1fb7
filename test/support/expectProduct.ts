import { expect } from 'vitest';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import {
  type MatmulCall,
  matmul,
  matrix,
  type ProductAlternatives,
  type ProductShape,
  type TunedPlan,
} from '../../src/kernels/matmul.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { testGpu } from './gpu.ts';
import { randomFloats, relativeError } from './numbers.ts';
import { type KINDS, recorderOfKind } from './recorderOfKind.ts';
import { matMul, transpose } from './reference/products.ts';
import { array64 } from './reference/reference.ts';

/** A product whose operands may lie transposed, several of them, or within a buffer. */
export interface ProductCase {
  m: number;
  n: number;
  k: number;
  ta?: boolean;
  tb?: boolean;
  batches?: number;
  /** Elements before the matrices. */
  offset?: number;
  /** Without bias, scale and bounds. */
  plain?: boolean;
}

const shapeOf = ({ m, n, k, ta = false, tb = false, batches = 1 }: ProductCase): ProductShape => {
  return { m, n, k, batches, aRows: !ta || m === 1, bRows: !tb || n === 1, contiguous: true };
};

/** A product, computed one way by each of its plans for that shape, each held to float64. */
export async function expectProduct(
  kind: (typeof KINDS)[number],
  shape: ProductCase,
  way: ProductAlternatives,
  plansOf: (adapter: Adapter, shape: ProductShape) => TunedPlan[],
) {
  const { m, n, k, ta = false, tb = false, batches = 1, offset = 0, plain = false } = shape;
  const recorder = new DirectRecorder(await testGpu());
  const of = recorderOfKind(recorder, kind);
  const a = randomFloats(1, batches * m * k);
  const b = randomFloats(2, batches * k * n);
  const bias = randomFloats(3, n);
  const upload = (data: Float32Array) => {
    const placed = new Float32Array(offset + data.length).fill(9);
    placed.set(data, offset);
    return recorder.upload('f32', placed);
  };
  const call: MatmulCall = {
    ...{ m, n, k, batches },
    a: { ...matrix(upload(a), ta ? m : k, ta), offset, batchStride: m * k },
    b: { ...matrix(upload(b), tb ? k : n, tb), offset, batchStride: k * n },
    out: { ...matrix(recorder.temporary('f32', 0), n), batchStride: m * n },
    ...(!plain && { alpha: 0.5, beta: 2, lo: -1.5, hi: 2 }),
    ...(!plain && { bias: { operand: recorder.upload('f32', bias), rowStride: 0, columnStride: 1 } }),
  };
  const plans = plansOf(of.capabilities, shapeOf(shape));
  expect(plans.length).toBeGreaterThan(0);
  const outs = plans.map((plan) => {
    const out = recorder.upload('f32', new Float32Array(batches * m * n).fill(Number.NaN));
    let taken = false;
    matmul(of, {
      ...call,
      out: { ...call.out, operand: out },
      alternatives: (recorder, whole, shape) => {
        taken = way(recorder, whole, shape, plan);
        return taken;
      },
    });
    expect(taken).toBe(true);
    return out;
  });
  await recorder.run();
  const expected: number[] = [];
  for (let batch = 0; batch < batches; batch++) {
    const [left, right] = [
      a.subarray(batch * m * k, (batch + 1) * m * k),
      b.subarray(batch * k * n, (batch + 1) * k * n),
    ];
    const product = matMul(
      ta ? transpose(array64([k, m], left)) : array64([m, k], left),
      tb ? transpose(array64([n, k], right)) : array64([k, n], right),
    );
    for (const [i, value] of product.data.entries()) {
      expected.push(plain ? value : Math.min(2, Math.max(-1.5, 0.5 * value + 2 * bias[i % n]!)));
    }
  }
  for (const out of outs) {
    expect(relativeError(await recorder.read(out), Float64Array.from(expected))).toBeLessThan(1e-5);
  }
  recorder.dispose();
}
