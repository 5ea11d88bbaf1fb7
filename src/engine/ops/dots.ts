import { gemmGeometry, matMulGeometry } from '../../graph/infer/matmul.ts';
import type { ProductAlternatives } from '../../kernels/matmul.ts';
import { FEW_ROWS, leastDotsTerms } from '../../kernels/productVariant.ts';
import type { PlanUse } from '../operator.ts';

let loaded: ProductAlternatives | undefined;

/**
 * Fetches the kernels of products with few rows or columns where a dense layer with float32 weights, or a product, may take
 * them. A plan without such a node does not take them, whether they are there or not.
 */
export async function loadDots({ graph, shapes, capabilities, formOf }: PlanUse): Promise<void> {
  const least = capabilities.tuned ? 0 : leastDotsTerms(capabilities);
  const shapeOf = (name = '') => shapes.get(name) ?? graph.initializers.get(name)?.shape;
  const suits = graph.nodes.some((node) => {
    const [a, b] = node.inputs.map(shapeOf);
    if (!a || !b || formOf?.(node.inputs[1] ?? '')) return false;
    if (node.op === 'Gemm') {
      const { m, n, k } = gemmGeometry(node, a, b);
      return Math.min(m, n) <= FEW_ROWS && k >= least;
    }
    // Its columns of b never lie term by term, rows of a always do.
    if (node.op !== 'MatMul') return false;
    const { n, k } = matMulGeometry(node, a, b);
    return n <= FEW_ROWS && k >= least;
  });
  if (suits) loaded ??= (await import('../../kernels/matmulDots.ts')).matmulDots;
}

/** Undefined where no plan so far has needed them. */
export function dots(): ProductAlternatives | undefined {
  return loaded;
}
