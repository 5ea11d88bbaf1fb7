import { describe, it } from 'vitest';
import { splitProduct } from '../../src/kernels/matmul.ts';
import { matmulSubgroup } from '../../src/kernels/matmulSubgroup.ts';
import { quadCuts } from '../../src/kernels/productVariant.ts';
import { expectProduct, type ProductCase } from '../support/expectProduct.ts';
import { testGpu } from '../support/gpu.ts';

// Tiles by whole subgroups are tested beside those in workgroup memory, in matmul.test.ts.
describe('products by quads of a subgroup of eight', () => {
  it.for<ProductCase>([
    // The last subgroup has a single tile.
    { m: 10, n: 13, k: 64, batches: 5 },
    { m: 16, n: 16, k: 23, batches: 4, plain: true },
    { m: 33, n: 34, k: 31, batches: 3, ta: true, tb: true },
    // In parts.
    { m: 9, n: 12, k: 6000, plain: true },
  ])('$m x $n x $k', async (shape, { skip }) => {
    skip((await testGpu()).capabilities.subgroupSize !== 8);
    await expectProduct('cpu', shape, matmulSubgroup, (adapter, shape) => {
      const cuts = quadCuts(adapter, shape.m, shape.n, shape.batches ?? 1);
      // Each is a pipeline of its own: all of them once, some where it is operands that differ.
      const some = shape.k === 64 ? cuts : cuts.filter((_, i) => i % 3 === shape.m % 3);
      return some.map((cut) => splitProduct(adapter, shape, cut, false));
    });
  });
});
