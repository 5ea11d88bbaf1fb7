/** What kernels with several variants have in common: candidates, their names, and parts of keys. */
import type { Capabilities } from '../../gpu/capabilities.ts';
import type { ConvGeometry } from '../convCall.ts';
import type { MatmulCut } from '../matmul.ts';
import { inHalf, productCuts, type TileCount } from '../productVariant.ts';

export type Adapter = Pick<Capabilities, 'kind' | 'subgroupSize' | 'matrices'>;

/** Of a key: what was measured with half precision among the variants says nothing where that will not do. */
export const halfKey = (half: boolean | undefined) => (half ? { h: 1 } : undefined);

/**
 * Of a key: packed weights by how they are unpacked. Zero points, which take up to half as long again, left the fastest
 * variant the same for three of five layers on SwiftShader, and for all on lavapipe. Floats that lie in a packed layer's
 * place are floats.
 */
export function weightsKey(weights: ConvGeometry['weights']): Record<string, number> | undefined {
  if (!weights || !('bits' in weights) || weights.bits === 32) return undefined;
  const { bits, table, group, k } = weights;
  return { w: bits, ...(group < k && { q: 1 }), ...(table && { t: 1 }) };
}

/** With those in half precision, where they will do. */
export const withHalf = <Cut extends TileCount<{ kind: string }>>(cuts: Cut[], half: boolean | undefined): Cut[] => {
  return half ? cuts.flatMap((cut) => (cut.variant.kind === 'tiled' ? [inHalf(cut), cut] : [cut])) : cuts;
};

export interface Candidate<Plan> {
  /** Names the variant in a table: `r16`, `t16x16`. */
  id: string;
  value: Plan;
}

/** A kernel's, as methods: a shape comes back to the kernel that it was given by. */
export interface Variants<Shape extends object, Plan> {
  key(shape: Shape): string;
  candidates(adapter: Adapter, shape: Shape): Candidate<Plan>[];
  /** What the kernel takes where nothing was measured. */
  rule(adapter: Adapter, shape: Shape): Plan;
}

/** The plausible cuts of all kernels but the product. */
export function plausibleCuts(adapter: Adapter, m: number, n: number): TileCount[] {
  return plausible(productCuts(adapter, m, n));
}

/** Cuts that may turn out to be the fastest: not those that the rule finds so many times as dear as the cheapest. */
export function plausible<Cut extends { cost: number }>(cuts: Cut[], times = 3): Cut[] {
  const cheapest = Math.min(...cuts.map(({ cost }) => cost));
  return cuts.filter(({ cost }) => cost <= times * cheapest);
}

/**
 * `r16` for sixteen rows a subgroup, `q16` for as many a quad, `t16x16` for a workgroup of 16 x 16, `t16x16f16` for that in
 * half precision, `m64x64f16` for tiles of 64 x 64 by subgroup matrices.
 */
export function variantId(variant: MatmulCut['variant']): string {
  if (variant.kind === 'subgroup') return `r${variant.rows}`;
  if (variant.kind === 'quads') return `q${variant.rows}`;
  if (variant.kind === 'matrices') {
    return `m${variant.rows}x${variant.columns}${variant.tunables.Component === 'f16' ? 'f16' : ''}`;
  }
  return `t${variant.tm}x${variant.tn}${variant.half ? 'f16' : ''}`;
}
