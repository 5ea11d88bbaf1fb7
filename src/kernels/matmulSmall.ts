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

/**
 * Products of many small matrices, of which a workgroup takes several, and of few rows or columns with few terms. A module
 * of its own, which is loaded where a plan has such products.
 */
export const matmulSmall: ProductAlternatives = (recorder, whole, shape, tuned) => {
  const plan = tuned ?? planSmall(recorder.capabilities, shape);
  if (plan?.variant.kind !== 'small') return false;
  const { call, shared } = productDispatch(whole, plan, 0);
  const { m, n, k, batches = 1, a, b } = call;
  // As even as they get, so that fewer hang over an edge.
  const TILE_M = Math.ceil(m / plan.tilesM);
  const TILE_N = Math.ceil(n / plan.tilesN);
  const lanes = plan.tilesM * plan.tilesN * batches;
  const WG = lanesOfWorkgroup(recorder.capabilities, lanes);
  recorder.dispatch(matmulSmallShader, {
    ...shared,
    operands: { ...shared.operands, a4: a.operand, b4: b.operand },
    tunables: {
      WG,
      TILE_M,
      TILE_N,
      SUBGROUP: recorder.capabilities.subgroupSize === 4 ? 4 : 8,
      VECTOR_A: inWholeVectors(a, batches),
      VECTOR_B: n % 4 === 0 && TILE_N % 4 === 0 && inWholeVectors(b, batches),
      WHOLE: m % TILE_M === 0 && n % TILE_N === 0,
      STEPS: Math.min(Math.floor(k / 4), 3),
      REST: k % 4,
      PLAIN: isPlain(call),
    },
    workgroups: grid(lanes, WG),
  });
  return true;
};

/** On a CPU, few where there is little to do: workgroups are what its cores share out. */
function lanesOfWorkgroup({ kind }: Adapter, lanes: number): number {
  return kind === 'cpu' && lanes < 4096 ? 16 : 64;
}

/** The rule: a tile per lane where that is faster, undefined elsewhere. */
export function planSmall(adapter: Adapter, shape: ProductShape): SmallPlan | undefined {
  return areSmall(adapter, shape) ? smallPlans(adapter, shape)[0] : undefined;
}

/** All plans, for any number of matrices of any size; on a GPU the one with the smaller tiles, which keep more lanes busy, first. */
export function smallPlans({ kind }: Adapter, { m, n, k }: ProductShape): SmallPlan[] {
  const [first, second] = kind === 'gpu' ? ([4, 8] as const) : ([8, 4] as const);
  return (Math.max(m, n) > 4 ? [first, second] : [first]).map((most) => {
    const tiles = { tilesM: Math.ceil(m / most), tilesN: Math.ceil(n / most) };
    return { variant: { kind: 'small', most }, ...tiles, swap: false, splits: 1, kChunk: k };
  });
}
