import { matmulSmallShader } from './generated/small.ts';
import { grid } from './kernel.ts';
import {
  inWholeVectors,
  isPlain,
  type ProductAlternatives,
  type ProductShape,
  productDispatch,
  type SmallPlan,
} from './matmul.ts';
import { type Adapter, areSmall } from './productVariant.ts';

/** Lanes of a workgroup, each with a tile of 4 x 4. */
const WG = 64;
const TILE = 4;

/**
 * Products of many small matrices, of which a workgroup takes several. A module of its own, which is loaded where a plan
 * has such products.
 */
export const matmulSmall: ProductAlternatives = (recorder, whole, shape, tuned) => {
  const plan = tuned ?? planSmall(recorder.capabilities, shape);
  if (plan?.variant.kind !== 'small') return false;
  const { call, shared } = productDispatch(whole, plan, 0);
  const { m, n, k, batches = 1, a, b } = call;
  recorder.dispatch(matmulSmallShader, {
    ...shared,
    operands: { ...shared.operands, a4: a.operand, b4: b.operand },
    tunables: {
      WG,
      SUBGROUP: recorder.capabilities.subgroupSize === 4 ? 4 : 8,
      VECTOR_A: inWholeVectors(a, batches),
      VECTOR_B: n % 4 === 0 && inWholeVectors(b, batches),
      WHOLE: m % TILE === 0 && n % TILE === 0,
      STEPS: Math.min(Math.floor(k / 4), 3),
      REST: k % 4,
      PLAIN: isPlain(call),
    },
    workgroups: grid(plan.tilesM * plan.tilesN * batches, WG),
  });
  return true;
};

/** The rule: a tile per lane where that is faster, undefined elsewhere. */
export function planSmall(adapter: Adapter, shape: ProductShape): SmallPlan | undefined {
  return areSmall(shape) ? smallPlans(adapter, shape)[0] : undefined;
}

/** All plans: one for any number of matrices, of any size. */
export function smallPlans(_: Adapter, { m, n, k }: ProductShape): SmallPlan[] {
  const tiles = { tilesM: Math.ceil(m / TILE), tilesN: Math.ceil(n / TILE) };
  return [{ variant: { kind: 'small' }, ...tiles, swap: false, splits: 1, kChunk: k }];
}
