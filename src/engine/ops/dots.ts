import type { ProductAlternatives } from '../../kernels/matmul.ts';
import { FEW_ROWS, leastDotsTerms } from '../../kernels/productVariant.ts';
import type { PlanUse } from '../operator.ts';

let loaded: ProductAlternatives | undefined;

/**
 * Fetches the kernels of products with few rows or columns where a dense layer with float32 weights may take them. A plan
 * without such a layer does not take them, whether they are there or not.
 */
export async function loadDots({ graph, shapes, capabilities, formOf }: PlanUse): Promise<void> {
  const least = capabilities.tuned ? 0 : leastDotsTerms(capabilities);
  const suits = graph.nodes.some(({ op, inputs: [, b = ''], outputs: [out = ''] }) => {
    if (op !== 'Gemm' || formOf?.(b)) return false;
    const [m = 0, n = 0] = shapes.get(out) ?? [];
    const [rows = 0, columns = 0] = shapes.get(b) ?? graph.initializers.get(b)?.shape ?? [];
    return Math.min(m, n) <= FEW_ROWS && rows * columns >= least * n;
  });
  if (suits) loaded ??= (await import('../../kernels/matmulDots.ts')).matmulDots;
}

/** Undefined where no plan so far has needed them. */
export function dots(): ProductAlternatives | undefined {
  return loaded;
}
