import { numberAttribute } from '../../graph/attributes.ts';
import { inferers } from '../../graph/infer/inferers.ts';
import { gemmGeometry } from '../../graph/infer/matmul.ts';
import { expand } from '../../kernels/binary.ts';
import { matmul, matrix } from '../../kernels/matmul.ts';
import { productAlternatives as allAlternatives } from '../../kernels/productAlternatives.ts';
import { reduceSum } from '../../kernels/reduceSum.ts';
import type { BackwardContext, ForwardContext, Gradients, Operator, PlanUse } from '../operator.ts';
import { broadcastAxes } from './binary.ts';
import { convAlternatives, loadConvAlternatives } from './convAlternatives.ts';
import { floatKernels, loadFloatKernels } from './floatKernels.ts';
import { loadProductAlternatives, productAlternatives } from './productAlternatives.ts';

const [A, B, C] = [0, 1, 2] as const;

function geometry(context: ForwardContext | BackwardContext) {
  const { node } = context;
  return {
    ...gemmGeometry(node, context.inputShape(A), context.inputShape(B)),
    alpha: numberAttribute(node, 'alpha', 1),
    beta: numberAttribute(node, 'beta', 1),
  };
}

function forward(context: ForwardContext): void {
  const { m, n, k, transA, transB, alpha, beta } = geometry(context);
  const packed = context.packed(B, C);
  if (packed) {
    const { bias } = packed;
    packed.kernels.product(context.builder, {
      ...{ weights: packed.weights, x: context.quantizedInput ?? context.input(A), bias, out: context.output(), m },
      ...context.bounds,
      alternatives: convAlternatives(),
      label: 'dense',
    });
    return;
  }
  // C broadcasts to [m, n] by NumPy's rule: an axis that is missing or of length 1 has no stride.
  const shape = context.hasInput(C) ? context.inputShape(C) : undefined;
  const columns = shape?.at(-1) ?? 1;
  const rows = shape?.at(-2) ?? 1;
  const kernels = floatKernels();
  kernels.matmul(context.builder, {
    m,
    n,
    k,
    a: kernels.matrix(context.input(A), transA ? m : k, transA),
    b: kernels.matrix(context.input(B), transB ? k : n, transB),
    out: kernels.matrix(context.output(), n),
    bias: shape && {
      operand: context.input(C),
      rowStride: rows === 1 ? 0 : columns,
      columnStride: columns === 1 ? 0 : 1,
    },
    alpha,
    beta,
    ...context.bounds,
    alternatives: productAlternatives,
    label: 'dense',
  });
}

function backward(context: BackwardContext): void {
  const { builder } = context;
  const { m, n, k, transA, transB, alpha, beta } = geometry(context);
  const dy = context.outputGradient();
  // With a = op(A) and b = op(B): da = alpha·dy·bᵀ and db = alpha·aᵀ·dy, or their transposes where A or B is transposed.
  const aView = (transposed: boolean) => matrix(context.input(A), transA ? m : k, transA !== transposed);
  const bView = (transposed: boolean) => matrix(context.input(B), transB ? k : n, transB !== transposed);
  if (context.wants(A)) {
    const [rows, columns] = transA ? [k, m] : [m, k];
    matmul(builder, {
      ...{ m: rows, n: columns, k: n, alpha, alternatives: allAlternatives, label: 'gradient of A' },
      a: transA ? bView(false) : matrix(dy, n),
      b: transA ? matrix(dy, n, true) : bView(true),
      out: matrix(context.inputGradient(A), columns),
    });
  }
  if (context.wants(B)) {
    const [rows, columns] = transB ? [n, k] : [k, n];
    matmul(builder, {
      ...{ m: rows, n: columns, k: m, alpha, alternatives: allAlternatives, label: 'gradient of B' },
      a: transB ? matrix(dy, n, true) : aView(true),
      b: transB ? aView(false) : matrix(dy, n),
      out: matrix(context.inputGradient(B), columns),
    });
  }
  if (context.wants(C)) {
    const axes = broadcastAxes(context.inputShape(C), [m, n]);
    const scaled = { x: dy, out: context.inputGradient(C), shape: [m, n], scale: beta, label: 'gradient of C' };
    if (axes.length > 0) reduceSum(builder, { ...scaled, axes });
    else expand(builder, { ...scaled, xShape: [m, n] });
  }
}

async function load(use: PlanUse): Promise<void> {
  await Promise.all([
    loadFloatKernels('Gemm', use),
    loadProductAlternatives(use),
    loadConvAlternatives('Gemm', use, ['dense']),
  ]);
}

/** y = alpha·op(A)·op(B) + beta·C. */
export const denseLayers: readonly Operator[] = [
  {
    op: 'Gemm',
    infer: inferers.Gemm!,
    attributes: ['alpha', 'beta', 'transA', 'transB'],
    roles: () => ({ [A]: 'weight', [B]: 'weight', [C]: 'bias' }),
    canBound: true,
    forward,
    load,
  },
];

export const denseGradients: Gradients = { Gemm: backward };
