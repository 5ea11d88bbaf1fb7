import { gemmGeometry, matMulGeometry } from '../../graph/infer/matmul.ts';
import type { ProductAlternatives } from '../../kernels/matmul.ts';
import { FEW_ROWS, leastDotsTerms, mayBeShallow } from '../../kernels/productVariant.ts';
import type { PlanUse } from '../operator.ts';

let dots: ProductAlternatives | undefined;
let shallow: ProductAlternatives | undefined;

/**
 * Fetches the kernels of products with few rows or columns, and those of products with few terms, where a dense layer with
 * float32 weights, or a product, may take them. A plan without such a node does not take them, whether they are there or not.
 */
export async function loadProductAlternatives({ graph, shapes, capabilities, formOf }: PlanUse): Promise<void> {
  const shapeOf = (name = '') => shapes.get(name) ?? graph.initializers.get(name)?.shape;
  const products = graph.nodes.flatMap((node) => {
    const [a, b] = node.inputs.map(shapeOf);
    if (!a || !b || formOf?.(node.inputs[1] ?? '')) return [];
    if (node.op === 'Gemm') {
      const { m, n, k } = gemmGeometry(node, a, b);
      return [{ m, n, k, few: Math.min(m, n) }];
    }
    if (node.op !== 'MatMul') return [];
    const { m, n, k } = matMulGeometry(node, a, b);
    // Its columns of b never lie term by term, rows of a always do.
    return [{ m, n, k, few: n }];
  });
  const leastTerms = (shape: { m: number; n: number }) =>
    capabilities.tuned ? 0 : leastDotsTerms(capabilities, shape);
  if (products.some((product) => product.few <= FEW_ROWS && product.k >= leastTerms(product))) {
    dots ??= (await import('../../kernels/matmulDots.ts')).matmulDots;
  }
  if (products.some((product) => mayBeShallow(capabilities, product))) {
    shallow ??= (await import('../../kernels/matmulShallow.ts')).matmulShallow;
  }
}

/** Those that some plan so far has needed. */
export const productAlternatives: ProductAlternatives = (...product) => {
  return Boolean(dots?.(...product) || shallow?.(...product));
};
