/**
 * The kernels that have several variants: how a table names a shape of each, and what there is to choose from. Kernels
 * know nothing of this; they ask `capabilities.tuned` and have a rule, so that pages without a table do not load it.
 */
import type { TunedChoices } from '../../gpu/capabilities.ts';
import { type ConvGeometry, type FloatConvPlan, POINTWISE, STRIPS, WINOGRAD } from '../convCall.ts';
import { directGradWeight, type GradWeightPlan, planGradWeight, productGradWeight } from '../convGradWeight.ts';
import type { ConvShape } from '../convShape.ts';
import { LINE_WG } from '../lines.ts';
import { type MatmulCut, matmulCuts, type ProductShape, planMatmul, splitProduct, type TunedPlan } from '../matmul.ts';
import { dotsPlans, planDots } from '../matmulDots.ts';
import { planShallow, shallowPlans } from '../matmulShallow.ts';
import { planSmall, smallPlans } from '../matmulSmall.ts';
import { takesPointwise } from '../pointwise.ts';
import { mayBeSmall } from '../productVariant.ts';
import { type ReductionShape, type ReductionSplit, splitByLanes, splitReduction } from '../reduceSum.ts';
import { type Lines, softmaxLanes } from '../softmax.ts';
import { stripTiles, takesStrips } from '../stripsChoice.ts';
import { type ConvTiles, DIRECT_CONV, planConv } from '../validConv.ts';
import { isWinogradFaster, suitsWinograd } from '../winogradChoice.ts';
import {
  type Adapter,
  type Candidate,
  halfKey,
  plausible,
  plausibleCuts,
  type Variants,
  variantId,
  weightsKey,
  withHalf,
} from './candidates.ts';
import { lengthClass, shapeKey } from './keys.ts';
import * as packed from './packedVariants.ts';

export const product: Variants<ProductShape, TunedPlan> = {
  key({ m, n, k, batches = 1, aRows = true, bRows = true, half }) {
    const dims = { m: lengthClass(m), n: lengthClass(n), k: lengthClass(k), b: lengthClass(batches) };
    return shapeKey('product', { ...dims, ar: aRows ? 1 : 0, br: bRows ? 1 : 0, ...halfKey(half) });
  },
  /**
   * The plausible cuts of the product, and of its transpose (`s`; not by subgroup matrices), with the split of the rule,
   * with none (`/1`) and with about twice as many (`/2`); where lanes can go along the terms, dot products (`d`); of few
   * terms all at once (`k`); of small products a tile per lane (`l`).
   */
  candidates(adapter, shape) {
    const { m, n, half } = shape;
    const straight = matmulCuts(adapter, shape).map((cut) => ({ ...cut, swap: false }));
    const swapped = matmulCuts(adapter, { ...shape, m: n, n: m }).map((cut) => ({ ...cut, swap: true }));
    // On processors there are many, and the rule's times for them were within a third of the measured ones.
    const cuts = plausible([...straight, ...swapped], adapter.kind === 'cpu' ? 2 : 3);
    const byMatrices = adapter.matrices?.cuts<MatmulCut>(shape) ?? [];
    const all = [...withHalf(cuts, half), ...byMatrices.map((cut) => ({ ...cut, swap: false }))];
    const candidates = all.flatMap(({ swap, ...cut }) => {
      const id = `${variantId(cut.variant)}${swap ? 's' : ''}`;
      const plan = splitProduct(adapter, shape, cut, swap);
      const some: Candidate<TunedPlan>[] = [{ id, value: plan }];
      if (plan.splits > 1)
        some.push({ id: `${id}/1`, value: { ...plan, splits: 1, kChunk: Math.ceil(shape.k / 16) * 16 } });
      const half = Math.ceil(plan.kChunk / 2 / 16) * 16;
      if (half >= 128 && half < plan.kChunk) {
        some.push({ id: `${id}/2`, value: { ...plan, splits: Math.ceil(shape.k / half), kChunk: half } });
      }
      return some;
    });
    for (const value of dotsPlans(adapter, shape)) {
      candidates.push({ id: `d${value.variant.rows}${value.swap ? 's' : ''}`, value });
    }
    for (const value of shallowPlans(adapter, shape)) {
      candidates.push({ id: `k${value.variant.rows}${value.swap ? 's' : ''}`, value });
    }
    if (mayBeSmall(shape)) {
      candidates.push(...smallPlans(adapter, shape).map((value) => ({ id: `l${value.variant.most}`, value })));
    }
    return shape.contiguous === false ? candidates.filter(({ value }) => value.splits === 1) : candidates;
  },
  rule(adapter, shape) {
    const alternative = planSmall(adapter, shape) ?? planDots(adapter, shape) ?? planShallow(adapter, shape);
    return alternative ?? planMatmul(adapter, shape);
  },
};

export const conv: Variants<ConvGeometry, FloatConvPlan> = {
  key({ groups, groupOut, groupIn, kh, kw, oh, ow, images, xAt, outAt, weights, half }) {
    const dims = { g: groups, o: groupOut, i: groupIn, kh, kw, oh, ow, n: lengthClass(images) };
    return shapeKey('conv', { ...dims, d: xAt.kx, s: xAt.ox, y: outAt.ox, ...weightsKey(weights), ...halfKey(half) });
  },
  /** Every cut, for groups of few channels the direct sum, strips, Winograd's way and products where they can be taken. */
  candidates(adapter, shape) {
    const { groups, m, n } = tilesOf(shape);
    const cuts = withHalf(plausibleCuts(adapter, m, n), shape.half);
    const candidates: Candidate<FloatConvPlan>[] = cuts.map((value) => ({
      id: variantId(value.variant),
      value,
    }));
    if (groups > 1 && m <= 8) candidates.push({ id: 'direct', value: DIRECT_CONV });
    if (stripTiles(adapter, shape)) candidates.push({ id: STRIPS, value: STRIPS });
    if (suitsWinograd(shape)) candidates.push({ id: WINOGRAD, value: WINOGRAD });
    if (takesPointwise(adapter, shape, POINTWISE)) candidates.push({ id: POINTWISE, value: POINTWISE });
    return candidates;
  },
  rule(adapter, shape) {
    if (takesPointwise(adapter, shape, undefined)) return POINTWISE;
    if (isWinogradFaster(adapter, shape)) return WINOGRAD;
    return takesStrips(adapter, shape, undefined) ? STRIPS : planConv(adapter, tilesOf(shape));
  },
};

function tilesOf({ groups, groupOut, images, oh, ow, half, weights }: ConvGeometry): ConvTiles {
  return { groups, m: groupOut, n: images * oh * ow, half, weights };
}

export const gradient: Variants<ConvShape, GradWeightPlan> = {
  key({ n, ic, oc, oh, ow, kh, kw, strideW, dilW, groups }) {
    const dims = { g: groups, o: oc / groups, i: ic / groups, kh, kw, oh, ow, n: lengthClass(n) };
    return shapeKey('gradient', { ...dims, d: dilW, s: strideW });
  },
  /** Every cut, with about half (`h`) and twice (`d`) as many parts too, and for groups of few channels the direct sum. */
  candidates(adapter, shape) {
    const { ic, oc, kh, kw, groups } = shape;
    const candidates: Candidate<GradWeightPlan>[] = [];
    for (const cut of plausibleCuts(adapter, oc / groups, (ic / groups) * kh * kw)) {
      const id = variantId(cut.variant);
      const rule = productGradWeight(adapter, shape, cut);
      candidates.push({ id, value: rule });
      for (const [suffix, parts] of [
        ['h', 0.5],
        ['d', 2],
      ] as const) {
        const value = productGradWeight(adapter, shape, cut, parts);
        if (value.splits !== rule.splits) candidates.push({ id: `${id}${suffix}`, value });
      }
    }
    if (groups > 1 && oc / groups <= 8) candidates.push({ id: 'direct', value: directGradWeight(adapter, shape) });
    return candidates;
  },
  rule: planGradWeight,
};

export const sum: Variants<ReductionShape, ReductionSplit> = {
  key({ outputs, length, innermostReduced }) {
    return shapeKey('sum', { o: lengthClass(outputs), n: lengthClass(length), i: innermostReduced ? 1 : 0 });
  },
  /** Few and many lanes, each with the split of the rule and with none while the sum is short enough for that. */
  candidates(adapter, shape) {
    const lanes = adapter.kind === 'gpu' ? [1, 4, 16, LINE_WG] : [1];
    return lanes.flatMap((count) => {
      const split = splitByLanes(shape, adapter, count);
      const some = [{ id: `l${count}`, value: split }];
      const isShort = shape.length / count <= 4096;
      if (split.splits > 1 && isShort) {
        some.push({ id: `l${count}/1`, value: { lanes: count, splits: 1, chunk: shape.length } });
      }
      return some;
    });
  },
  rule: (adapter, shape) => splitReduction(shape, adapter),
};

export const softmax: Variants<Pick<Lines, 'lines' | 'length'>, number> = {
  key: ({ lines, length }) => shapeKey('softmax', { l: lengthClass(lines), n: lengthClass(length) }),
  /** An invocation for each line, a workgroup for each, and two between them. */
  candidates: () => [1, 4, 16, LINE_WG].map((lanes) => ({ id: `l${lanes}`, value: lanes })),
  rule: (adapter, shape) => softmaxLanes(shape, adapter),
};

/** By the names that kernels ask with. */
const KERNELS: Readonly<Record<string, Variants<object, unknown>>> = {
  ...{ product, conv, gradient, sum, softmax },
  ...packed,
};

/** The key of what a kernel asks for; undefined for a kernel that nothing is known of. */
export function keyOf(kernel: string, shape: object): string | undefined {
  return KERNELS[kernel]?.key(shape);
}

/**
 * Choices by a table of variants' ids by key. Where it has no entry, or one that names a variant which the shape or the
 * adapter does not have, the rule decides: a choice stays a pure function of adapter, shape and table.
 */
export function tunedChoices(table: ReadonlyMap<string, string> = new Map()): TunedChoices {
  return {
    choose<Plan>(kernel: string, adapter: Adapter, shape: object) {
      const variants = KERNELS[kernel];
      const id = variants && table.get(variants.key(shape));
      if (id === undefined) return undefined;
      return variants!.candidates(adapter, shape).find((candidate) => candidate.id === id)?.value as Plan | undefined;
    },
  };
}
