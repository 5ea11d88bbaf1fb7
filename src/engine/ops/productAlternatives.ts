import type { Capabilities } from '../../gpu/capabilities.ts';
import { gemmGeometry, matMulGeometry } from '../../graph/infer/matmul.ts';
import type { ProductAlternatives } from '../../kernels/matmul.ts';
import { FEW_ROWS, leastDotsTerms, mayBeShallow, mayBeSmall } from '../../kernels/productVariant.ts';
import type { PlanUse } from '../operator.ts';
import { elementsOf } from '../value.ts';

interface Product {
  m: number;
  n: number;
  k: number;
  batches: number;
  /** Rows, or columns whose terms lie in a row, whichever are fewer. */
  few: number;
}

interface Alternative {
  /** Whether a product may take it; with tuning, whatever the rule says. */
  suits(product: Product, capabilities: Capabilities): boolean;
  fetch(): Promise<ProductAlternatives>;
  loaded?: ProductAlternatives;
}

/** In the order in which a product is offered to them. */
const ALTERNATIVES: readonly Alternative[] = [
  {
    suits(product, { kind, tuned }) {
      return mayBeSmall(product) && (kind === 'cpu' || !!tuned || product.batches >= 32);
    },
    fetch: async () => (await import('../../kernels/matmulSmall.ts')).matmulSmall,
  },
  {
    suits(product, capabilities) {
      return product.few <= FEW_ROWS && (!!capabilities.tuned || product.k >= leastDotsTerms(capabilities, product));
    },
    fetch: async () => (await import('../../kernels/matmulDots.ts')).matmulDots,
  },
  {
    suits: (product, capabilities) => mayBeShallow(capabilities, product),
    fetch: async () => (await import('../../kernels/matmulShallow.ts')).matmulShallow,
  },
  {
    suits: (_, { kind }) => kind === 'cpu',
    fetch: async () => (await import('../../kernels/matmulSubgroup.ts')).matmulSubgroup,
  },
];

/**
 * Fetches the kernels that a dense layer with float32 weights, or a product, may take in place of the tiles that all have.
 * A plan without such a node does not take them, whether they are there or not.
 */
export async function loadProductAlternatives({ graph, shapes, capabilities, formOf }: PlanUse): Promise<void> {
  const shapeOf = (name = '') => shapes.get(name) ?? graph.initializers.get(name)?.shape;
  const products = graph.nodes.flatMap((node): Product[] => {
    const [a, b] = node.inputs.map(shapeOf);
    if (!a || !b || formOf?.(node.inputs[1] ?? '')) return [];
    if (node.op === 'Gemm') {
      const { m, n, k } = gemmGeometry(node, a, b);
      return [{ m, n, k, batches: 1, few: Math.min(m, n) }];
    }
    if (node.op === 'Conv' && isPixel(b)) {
      const [images = 1, , ...plane] = a;
      const pixels = elementsOf(plane);
      return [{ m: b[0]!, n: pixels, k: b[1]!, batches: images, few: pixels }];
    }
    if (node.op !== 'MatMul') return [];
    const { m, n, k, batch } = matMulGeometry(node, a, b);
    // A single b is multiplied by all rows at once. Its columns never lie term by term, rows of a always do.
    const batches = elementsOf(b.slice(0, -2)) === 1 ? 1 : elementsOf(batch);
    return [{ m, n, k, batches, few: n }];
  });
  for (const alternative of ALTERNATIVES) {
    if (products.some((product) => alternative.suits(product, capabilities))) {
      alternative.loaded ??= await alternative.fetch();
    }
  }
}

/** Whether a convolution may be a product of its weights by the pixels of an image: see kernels/pointwise.ts. */
function isPixel([, , ...taps]: readonly number[]): boolean {
  return elementsOf(taps) === 1;
}

/** Those that some plan so far has needed. */
export const productAlternatives: ProductAlternatives = (...product) => {
  return ALTERNATIVES.some(({ loaded }) => loaded?.(...product));
};
