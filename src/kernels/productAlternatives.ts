import type { ProductAlternatives } from './matmul.ts';
import { matmulDots } from './matmulDots.ts';
import { matmulShallow } from './matmulShallow.ts';
import { matmulSmall } from './matmulSmall.ts';
import { matmulSubgroup } from './matmulSubgroup.ts';

/** All ways that are faster for some products, for those who have no reason to load them one by one. */
export const productAlternatives: ProductAlternatives = (...product) => {
  return [matmulSmall, matmulDots, matmulShallow, matmulSubgroup].some((way) => way(...product));
};
