import { shallowSubgroupShader } from './generated/shallow.ts';
import {
  inWholeVectors,
  isPlain,
  type ProductAlternatives,
  type ProductShape,
  productDispatch,
  type ShallowPlan,
  type TunedPlan,
} from './matmul.ts';
import { type Adapter, busyWorkgroups, mayBeShallow, type ShallowVariant } from './productVariant.ts';

/** Rows of a turn that the shader has. */
const ROWS = [8, 4, 2, 1] as const;
/** Of a workgroup: from some dozen on, what it does before them is no longer felt. */
const MOST_TURNS = 32;

/**
 * Products of few terms, whose time goes into storing what comes of them: of two factors of low rank, or gradients of small
 * batches. For adapters that run on a CPU; a module of its own, which is loaded where a plan has such products.
 */
export const matmulShallow: ProductAlternatives = (recorder, whole, shape, tuned) => {
  const plan = tuned ?? planShallow(recorder.capabilities, shape);
  if (!plan || !isShallow(plan)) return false;
  const { subgroup: SUBGROUP, rows: ROWS } = plan.variant;
  const { call, shared } = productDispatch(whole, plan, 0);
  const { n, k, batches = 1, a, b } = call;
  recorder.dispatch(shallowSubgroupShader, {
    ...shared,
    operands: { ...shared.operands, a4: a.operand, b4: b.operand },
    tunables: {
      SUBGROUP,
      ROWS,
      TERMS: k,
      VECTOR_A: inWholeVectors(a, batches),
      VECTOR_B: n % 4 === 0 && inWholeVectors(b, batches),
      FOURS: n % 4 === 0,
      PLAIN: isPlain(call),
    },
  });
  return true;
};

function isShallow(plan: TunedPlan): plan is ShallowPlan {
  return plan.variant.kind === 'shallow';
}

/** The rule: all terms at once where that is faster, undefined elsewhere. */
export function planShallow(adapter: Adapter, shape: ProductShape): ShallowPlan | undefined {
  const plan = shallowPlans(adapter, shape)[0];
  return plan && areTermsFewEnough(plan, shape) ? plan : undefined;
}

/**
 * Measured on lavapipe (8 lanes) and SwiftShader (4) against the tiles: 1.5 to 4 times as fast wherever rows are many. Of a
 * single turn nothing is gained where a loop runs once more with no lane active, which is SwiftShader's way.
 */
function areTermsFewEnough({ turns, variant, swap }: ShallowPlan, { m, n }: ProductShape): boolean {
  return turns > 1 || (variant.subgroup > 4 && (swap ? n : m) > 1);
}

/** All plans that the adapter can run, the one with less to do for rows and columns past the edges first. */
export function shallowPlans(adapter: Adapter, { m, n, k, batches = 1 }: ProductShape): ShallowPlan[] {
  if (!mayBeShallow(adapter, { k })) return [];
  const subgroupSize = adapter.subgroupSize!;
  const plans = [false, true].map((swap) => {
    const [height, width] = swap ? [n, m] : [m, n];
    const rows = ROWS.find((count) => count <= subgroupSize && count < 2 * height)!;
    const tilesN = Math.ceil(width / (4 * subgroupSize));
    const steps = Math.ceil(height / rows);
    const wanted = Math.ceil((2 * busyWorkgroups(adapter)) / (tilesN * batches));
    const turns = Math.min(MOST_TURNS, Math.max(1, Math.floor(steps / wanted)));
    const variant: ShallowVariant = { kind: 'shallow', subgroup: subgroupSize, rows };
    const tilesM = Math.ceil(steps / turns);
    const plan: ShallowPlan = { variant, tilesM, tilesN, swap, turns, splits: 1, kChunk: k };
    return { plan, work: tilesN * steps * rows };
  });
  return plans.sort((one, other) => one.work - other.work).map(({ plan }) => plan);
}
