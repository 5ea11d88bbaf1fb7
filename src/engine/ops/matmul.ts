import { inferers } from '../../graph/infer/inferers.ts';
import { matMulGeometry } from '../../graph/infer/matmul.ts';
import { batchedMatmul, type MatrixBatch } from '../../kernels/batchedMatmul.ts';
import { productAlternatives as allAlternatives } from '../../kernels/productAlternatives.ts';
import { reduceSum } from '../../kernels/reduceSum.ts';
import type { BackwardContext, ForwardContext, Gradients, Operator, PlanUse } from '../operator.ts';
import { elementsOf, type Value } from '../value.ts';
import { broadcastAxes } from './binary.ts';
import { convAlternatives, loadConvAlternatives } from './convAlternatives.ts';
import { floatKernels, loadFloatKernels } from './floatKernels.ts';
import { loadProductAlternatives, productAlternatives } from './productAlternatives.ts';

/**
 * The product's sizes and batches. Where b is a single matrix, the rows of all of a's matrices are those of one product:
 * a weight's gradient is then one long sum.
 */
function geometry(context: ForwardContext | BackwardContext) {
  const [aShape, bShape] = [context.inputShape(0), context.inputShape(1)];
  const { batch, m, n, k } = matMulGeometry(context.node, aShape, bShape);
  const [aBatch, bBatch] = [aShape.slice(0, -2), bShape.slice(0, -2)];
  const single = elementsOf(bBatch) === 1 && elementsOf(aBatch) === elementsOf(batch);
  if (single) return { batch: [], aBatch: [], bBatch: [], m: m * elementsOf(batch), n, k };
  return { batch, aBatch, bBatch, m, n, k };
}

function forward(context: ForwardContext): void {
  const { batch, aBatch, bBatch, m, n, k } = geometry(context);
  const packed = context.packed(1);
  if (packed) {
    packed.kernels.product(context.builder, {
      ...{
        weights: packed.weights,
        x: context.quantizedInput ?? context.input(0),
        out: context.output(),
        m,
        alternatives: convAlternatives(),
        label: 'product',
      },
    });
    return;
  }
  floatKernels().batchedMatmul(context.builder, {
    a: { operand: context.input(0), batch: aBatch },
    b: { operand: context.input(1), batch: bBatch },
    out: context.output(),
    ...{ batch, m, n, k },
    alternatives: productAlternatives,
  });
}

function backward(context: BackwardContext): void {
  const { batch, aBatch, bBatch, m, n, k } = geometry(context);
  const dy: MatrixBatch = { operand: context.outputGradient(), batch };
  if (context.wants(0)) {
    const b = { operand: context.input(1), batch: bBatch, transposed: true };
    gradient(context, 0, { batch, own: aBatch, a: dy, b, m, n: k, k: n });
  }
  if (context.wants(1)) {
    const a = { operand: context.input(0), batch: aBatch, transposed: true };
    gradient(context, 1, { batch, own: bBatch, a, b: dy, m: k, n, k: m });
  }
}

/** The gradient of an operand: a product per matrix of the batch, summed where the operand was broadcast. */
function gradient(
  context: BackwardContext,
  index: number,
  product: {
    batch: readonly number[];
    own: readonly number[];
    a: MatrixBatch;
    b: MatrixBatch;
    m: number;
    n: number;
    k: number;
  },
): void {
  const { builder } = context;
  const { batch, own, m, n } = product;
  const target = context.inputGradient(index);
  const axes = broadcastAxes(own, batch);
  const shape = [...batch, m, n];
  const out: Value<'f32'> = axes.length === 0 ? target : builder.tensor(shape, 'f32', 'gradient before its sum');
  batchedMatmul(builder, {
    ...{ ...product, out },
    alternatives: allAlternatives,
    label: `gradient of operand ${index}`,
  });
  if (axes.length > 0) reduceSum(builder, { x: out, out: target, shape, axes, label: 'sum of gradient' });
}

async function load(use: PlanUse): Promise<void> {
  await Promise.all([
    loadFloatKernels('MatMul', use),
    loadProductAlternatives(use),
    loadConvAlternatives('MatMul', use, ['dense']),
  ]);
}

/** NumPy's matmul, vectors and broadcast batches included. */
export const matrixProducts: readonly Operator[] = [
  {
    op: 'MatMul',
    infer: inferers.MatMul!,
    attributes: [],
    roles: () => ({ 0: 'weight', 1: 'weight' }),
    forward,
    load,
  },
];

export const productGradients: Gradients = { MatMul: backward };
