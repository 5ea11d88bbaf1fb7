import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planMatmul } from '../../src/kernels/matmul.ts';
import { type Adapter, busyWorkgroups, cutProduct, PRODUCT_ROWS, splitSum } from '../../src/kernels/productVariant.ts';
import { chooseConv, planConv } from '../../src/kernels/validConv.ts';

const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
const swiftShader: Adapter = { kind: 'cpu', subgroupSize: 4 };
const gpu: Adapter = { kind: 'gpu', subgroupSize: 32 };

describe('choice of a variant', () => {
  it('takes subgroups on a CPU adapter that has them, tiles elsewhere', () => {
    expect(cutProduct(lavapipe, 64, 64).variant).toEqual({ kind: 'subgroup', subgroup: 8, rows: 16 });
    expect(cutProduct(swiftShader, 64, 64).variant).toEqual({ kind: 'subgroup', subgroup: 4, rows: 16 });
    expect(cutProduct(gpu, 512, 512).variant).toEqual({ kind: 'tiled', tm: 16, tn: 16 });
    expect(cutProduct({ kind: 'cpu' }, 512, 512).variant.kind).toBe('tiled');
    expect(cutProduct({ kind: 'cpu', subgroupSize: 128 }, 512, 512).variant.kind).toBe('tiled');
  });

  it('takes lower tiles where there are few rows', () => {
    expect(cutProduct(lavapipe, 1, 1000).variant).toMatchObject({ rows: 4 });
    expect(cutProduct(lavapipe, 6, 1000).variant).toMatchObject({ rows: 8 });
    expect(cutProduct(gpu, 16, 100_000).variant).toMatchObject({ tm: 4, tn: 64 });
  });

  it('takes tiles of 32 rows where a kernel has them and every core gets some, but on SwiftShader', () => {
    const rows = (adapter: Adapter, m: number, n: number) => {
      const { variant } = planMatmul(adapter, { m, n, k: 64 });
      return variant.kind === 'subgroup' && variant.rows;
    };
    expect(rows(lavapipe, 512, 512)).toBe(32);
    expect(rows(lavapipe, 64, 64)).toBe(16);
    // What hangs over the edge costs as much as the rest.
    expect(rows(lavapipe, 40, 4096)).toBe(16);
    expect(rows(lavapipe, 20, 4096)).toBe(10);
    expect(rows(lavapipe, 33, 4096)).toBe(12);
    expect(rows(swiftShader, 12, 512)).toBe(12);
    expect(rows(swiftShader, 512, 512)).toBe(16);
    expect(cutProduct(lavapipe, 512, 512).variant).toMatchObject({ rows: 16 });
  });

  it('transposes a product whose columns would leave tiles empty', () => {
    expect(planMatmul(lavapipe, { m: 64, n: 10, k: 84 }).swap).toBe(true);
    expect(planMatmul(lavapipe, { m: 10, n: 64, k: 84 }).swap).toBe(false);
  });

  it('sums groups of a few channels directly', () => {
    expect(chooseConv(lavapipe, { groups: 32, m: 1, n: 100 }).kind).toBe('direct');
    expect(chooseConv(gpu, { groups: 32, m: 1, n: 100 }).kind).toBe('direct');
    expect(chooseConv(lavapipe, { groups: 1, m: 1, n: 100 }).kind).toBe('subgroup');
    expect(chooseConv(lavapipe, { groups: 2, m: 8, n: 100 }).kind).toBe('subgroup');
  });

  it('takes eight rows of packed weights on SwiftShader, unless there are few terms or their codes lie in several planes', () => {
    const rows = (adapter: Adapter, k: number, bits: number) => {
      const { variant } = planConv(adapter, {
        groups: 1,
        m: 64,
        n: 4096,
        weights: { bits, table: false, group: k, k },
      });
      return variant.kind === 'subgroup' && variant.rows;
    };
    expect([16, 27, 144, 576].map((k) => rows(swiftShader, k, 4))).toEqual([16, 16, 8, 8]);
    expect([2, 3, 8, 16, 32].map((bits) => rows(swiftShader, 144, bits))).toEqual([8, 16, 8, 16, 16]);
    expect([16, 144].map((k) => rows(lavapipe, k, 4))).toEqual([16, 16]);
  });

  it('covers every element with tiles and stays within 256 invocations', () => {
    const adapters = fc.constantFrom(lavapipe, swiftShader, gpu);
    fc.assert(
      fc.property(adapters, fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 5000 }), (adapter, m, n) => {
        const { variant, tilesM, tilesN } = cutProduct(adapter, m, n, PRODUCT_ROWS);
        const [rows, columns] =
          variant.kind === 'tiled'
            ? [4 * variant.tm, 4 * variant.tn]
            : // A single row of SwiftShader's is twice as wide.
              [variant.rows, 4 * variant.subgroup * (variant.rows === 1 && variant.subgroup === 4 ? 2 : 1)];
        expect(tilesM * rows).toBeGreaterThanOrEqual(m);
        expect((tilesM - 1) * rows).toBeLessThan(m);
        expect(tilesN * columns).toBeGreaterThanOrEqual(n);
        expect((tilesN - 1) * columns).toBeLessThan(n);
        if (variant.kind === 'tiled') expect(variant.tm * variant.tn).toBeLessThanOrEqual(256);
      }),
    );
  });
});

describe('split of a sum', () => {
  it('splits long sums of few tiles only', () => {
    expect(splitSum(lavapipe, { tiles: 100, length: 1e6, granule: 16, least: 256 }).splits).toBe(1);
    expect(splitSum(lavapipe, { tiles: 1, length: 200, granule: 16, least: 256 }).splits).toBe(1);
    expect(splitSum(lavapipe, { tiles: 1, length: 1e6, granule: 16, least: 256 }).splits).toBe(
      busyWorkgroups(lavapipe),
    );
  });

  it('covers the sum with shares none of which is empty', () => {
    const sizes = fc.record({
      tiles: fc.integer({ min: 1, max: 300 }),
      length: fc.integer({ min: 1, max: 100_000 }),
      granule: fc.constantFrom(1, 16),
      least: fc.integer({ min: 1, max: 512 }),
    });
    fc.assert(
      fc.property(fc.constantFrom(lavapipe, gpu), sizes, (adapter, size) => {
        const { splits, share } = splitSum(adapter, size);
        expect(share % size.granule).toBe(0);
        expect(splits * share).toBeGreaterThanOrEqual(size.length);
        expect((splits - 1) * share).toBeLessThan(size.length);
      }),
    );
  });
});
