/** The variants of layers whose weights are packed; convolutions by codes are among those of floats (`variants.ts`). */
import type { DenseProductShape, DenseProductVariant } from '../denseProduct.ts';
import { chooseDenseProduct } from '../denseProduct.ts';
import { FEW_COLUMNS } from '../denseWeights.ts';
import { chooseInt8Conv, type Int8ConvShape } from '../int8Conv.ts';
import { chooseInt8Product, type Int8ProductShape, type Int8ProductVariant } from '../int8Product.ts';
import { cutProduct, type TileCount } from '../productVariant.ts';
import { planConv } from '../validConv.ts';
import {
  type Candidate,
  halfKey,
  plausibleCuts,
  type Variants,
  variantId,
  weightsKey,
  withHalf,
} from './candidates.ts';
import { lengthClass, shapeKey } from './keys.ts';

/** Vectors up to which a kernel for few is worth a try, and from which on tiles are. */
const FEW = { most: 2 * FEW_COLUMNS, tiles: FEW_COLUMNS / 2 };

/** Dense layers by codes, or by weights in half precision. */
export const dense: Variants<DenseProductShape, DenseProductVariant> = {
  key({ m, rows, weights, half }) {
    const dims = { m: lengthClass(m), o: lengthClass(rows), k: lengthClass(weights.k) };
    return shapeKey('dense', { ...dims, ...weightsKey(weights), ...halfKey(half) });
  },
  /** One to four vectors at a time (`v`) with several numbers of rows (`r`), of a lane or of a workgroup; tiles for more. */
  candidates(adapter, { m, rows, weights, half }) {
    const candidates: Candidate<DenseProductVariant>[] = [];
    const few = chooseDenseProduct({ ...adapter, tuned: undefined }, { m: 1, rows, weights });
    for (const vectors of [1, 2, 4] as const) {
      // A rule takes four for any number of vectors.
      if (vectors >= 2 * m || (m > FEW.most && (few.kind === 'matvec' || vectors < 4))) continue;
      if (few.kind === 'matvec-subgroup') {
        for (const some of [1, 2, 4] as const) {
          candidates.push({ id: `v${vectors}r${some}`, value: { ...few, rows: some, vectors } });
        }
      } else {
        candidates.push({ id: `v${vectors}`, value: { kind: 'matvec', vectors } });
        for (const some of [16, 64] as const) {
          candidates.push({ id: `v${vectors}r${some}`, value: { kind: 'matvec', vectors, rows: some } });
        }
      }
    }
    if (m <= FEW.tiles) return candidates;
    const cuts = withHalf(plausibleCuts(adapter, rows, m), half);
    return [
      ...candidates,
      ...cuts.map((plan) => ({ id: variantId(plan.variant), value: { kind: 'matmul' as const, plan } })),
    ];
  },
  rule(adapter, shape) {
    const choice = chooseDenseProduct(adapter, shape);
    const { m: n, rows: m, half, weights } = shape;
    return choice.kind === 'matmul'
      ? { ...choice, plan: planConv(adapter, { groups: 1, m, n, half, weights }) }
      : choice;
  },
};

/** Dense layers by bytes. */
export const int8product: Variants<Int8ProductShape, Int8ProductVariant> = {
  key({ m, rows, k = 0, bits = 8 }) {
    return shapeKey('int8product', { m: lengthClass(m), o: lengthClass(rows), k: lengthClass(k), w: bits });
  },
  /** One to eight rows of x at a time (`c`), on a GPU to four, and tiles. */
  candidates(adapter, { m, rows }) {
    const cuts = plausibleCuts(adapter, rows, m);
    const { variant } = cuts[0]!;
    const candidates: Candidate<Int8ProductVariant>[] = [];
    const isFew = variant.kind === 'subgroup' || m <= FEW.most;
    for (const columns of variant.kind === 'subgroup' ? [1, 2, 4, 8] : [1, 2, 3, 4]) {
      if (columns >= 2 * m || !isFew) continue;
      const value: Int8ProductVariant =
        variant.kind === 'subgroup'
          ? { kind: 'subgroup', subgroup: variant.subgroup, columns }
          : { kind: 'matvec', columns };
      candidates.push({ id: `c${columns}`, value });
    }
    if (m <= FEW.tiles) return candidates;
    return [
      ...candidates,
      ...cuts.map((cut) => ({ id: variantId(cut.variant), value: { kind: 'tiles' as const, cut } })),
    ];
  },
  rule(adapter, shape) {
    const choice = chooseInt8Product(adapter, shape);
    return choice.kind === 'tiles' ? { ...choice, cut: cutProduct(adapter, shape.rows, shape.m) } : choice;
  },
};

/** Convolutions by bytes. Whether they write floats, codes or both is decided per result, whatever the tiles. */
export const int8conv: Variants<Int8ConvShape, TileCount> = {
  key({ n, ic, oc, oh, ow, kh, kw, strideW, dilW, groups, bits }) {
    const dims = { g: groups, o: oc / groups, i: ic / groups, kh, kw, oh, ow, n: lengthClass(n) };
    return shapeKey('int8conv', { ...dims, d: dilW, s: strideW, w: bits });
  },
  candidates(adapter, shape) {
    const { n, oc, oh, ow, groups } = shape;
    if (chooseInt8Conv(shape) !== 'tiles') return [];
    return plausibleCuts(adapter, oc / groups, n * oh * ow).map((cut) => ({ id: variantId(cut.variant), value: cut }));
  },
  rule: (adapter, { n, oc, oh, ow, groups }) => cutProduct(adapter, oc / groups, n * oh * ow),
};
