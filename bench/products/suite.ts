import { product } from '../kernels/matmul.ts';
import { kernelCase } from '../kernels/suite.ts';
import type { Case, CaseResult } from '../suite.ts';
import type { ProductShape } from './shapes.ts';

/** Products of any shapes: where `kernels` measures some that were picked, this finds those that nobody thought of. */
export function productCases(shapes: readonly ProductShape[]): Case[] {
  return shapes.map(({ m, k, n, batch }) => kernelCase(product(m, k, n, batch > 1 ? [batch] : [])));
}

const STEPS = [1, 2, 3, 5] as const;
const LOWEST = 10;

/** How many cases are how many times as fast as the fastest peer whose result agrees, and which are the lowest. */
export function renderDistribution(cases: readonly CaseResult[]): string {
  const all = cases
    .map(({ name, comparisons }) => {
      const ratios = comparisons.filter(({ agrees }) => agrees).map(({ ratio }) => ratio.median);
      return { name, ratio: Math.min(...ratios) };
    })
    .filter(({ ratio }) => Number.isFinite(ratio))
    .sort((one, other) => one.ratio - other.ratio);
  if (all.length === 0) return 'no peer to compare with';
  const counts = STEPS.map((step) => `${all.filter(({ ratio }) => ratio >= step).length} at least ${step}`);
  const lowest = all.slice(0, LOWEST).map(({ name, ratio }) => `${name} ${ratio.toFixed(2)}`);
  return [
    `Fastest peer ÷ wgslim, of ${all.length} products: ${counts.join(', ')}; median ${all[all.length >> 1]!.ratio.toFixed(2)}.`,
    `Lowest: ${lowest.join(', ')}.`,
  ].join('\n');
}
