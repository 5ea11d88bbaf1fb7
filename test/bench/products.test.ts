import { describe, expect, it } from 'vitest';
import type { Comparison } from '../../bench/measure.ts';
import { parseShapes, randomShapes } from '../../bench/products/shapes.ts';
import { productCases, renderDistribution } from '../../bench/products/suite.ts';

describe('shapes of products', () => {
  it('are read from a list', () => {
    expect(parseShapes('5x955x1765, 64:33x64x1')).toEqual([
      { m: 5, k: 955, n: 1765, batch: 1 },
      { m: 33, k: 64, n: 1, batch: 64 },
    ]);
  });

  it.each(['', '5x5', '5x5x0', '0:5x5x5', 'axbxc', '5x5x5,'])('"%s" is none', (text) => {
    expect(() => parseShapes(text)).toThrow(/is no shape like/);
  });

  it('at random are the same for the same seed, small enough to be measured, and batches in part', () => {
    const shapes = randomShapes(200, 3);
    expect(shapes).toEqual(randomShapes(200, 3));
    expect(shapes).not.toEqual(randomShapes(200, 4));
    for (const { m, k, n, batch } of shapes) {
      expect(Math.min(m, k, n)).toBeGreaterThanOrEqual(1);
      expect(Math.max(m, k, n)).toBeLessThanOrEqual(2048);
      expect(batch * m * k * n).toBeLessThanOrEqual(1.2e9);
    }
    expect(shapes.filter(({ batch }) => batch > 1).length).toBeGreaterThan(50);
    expect(shapes.filter(({ m, n }) => Math.min(m, n) < 8).length).toBeGreaterThan(50);
  });

  it('name the cases', () => {
    const names = productCases(parseShapes('5x6x7,3:8x9x1')).map(({ name }) => name);
    expect(names).toEqual(['matmul 5×6×7', 'matmul 3 of 8×9×1']);
  });
});

describe('the distribution of their ratios', () => {
  const comparison = (median: number, agrees = true) => ({ agrees, ratio: { min: 0, median, max: 9 } }) as Comparison;

  it('counts the fastest peer that agrees', () => {
    const cases = [
      { name: 'a', comparisons: [comparison(4), comparison(2.5)], failures: [] },
      { name: 'b', comparisons: [comparison(0.9, false), comparison(6)], failures: [] },
      { name: 'c', comparisons: [comparison(1.5)], failures: [] },
      { name: 'd', comparisons: [comparison(1, false)], failures: [] },
    ];
    expect(renderDistribution(cases)).toBe(
      'Fastest peer ÷ wgslim, of 3 products: 3 at least 1, 2 at least 2, 1 at least 3, 1 at least 5; median 2.50.\n' +
        'Lowest: c 1.50, a 2.50, b 6.00.',
    );
    expect(renderDistribution([])).toBe('no peer to compare with');
  });
});
