import { shallowSubgroupShader } from './generated/shallow.ts';
import type { Recorder } from './kernel.ts';
import {
  inWholeVectors,
  isPlain,
  type ProductAlternatives,
  type ProductShape,
  productDispatch,
  type ShallowPlan,
  type TunedPlan,
  type WholeMatmulCall,
} from './matmul.ts';
import { type Adapter, busyWorkgroups, mayBeShallow, type ShallowVariant } from './productVariant.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';

/** Rows of a turn that the shader has. */
const ROWS = [8, 4, 2, 1] as const;
/** Terms that it has. */
const TERMS = 32;
/** Turns of a workgroup: from some dozen on, what it does before them is no longer felt. */
const MOST_TURNS = 32;

/**
 * Products of few terms, whose time goes into storing what comes of them: of two factors of low rank, gradients of small
 * batches, scores of attention. For adapters that run on a CPU; a module of its own, which is loaded where a plan has such
 * products.
 */
export const matmulShallow: ProductAlternatives = (recorder, whole, shape, tuned) => {
  const plan = tuned ?? planShallow(recorder.capabilities, shape);
  if (!plan || !isShallow(plan)) return false;
  const { a, b, k, label } = whole;
  for (let first = 0; first < k; first += plan.kChunk) {
    const terms = Math.min(plan.kChunk, k - first);
    const isLast = first + terms === k;
    record(recorder, plan, first > 0, {
      ...whole,
      // What is to be done to the whole sum waits for its last terms.
      ...(!isLast && { bias: undefined, alpha: 1, beta: 0, lo: LOWEST, hi: HIGHEST }),
      k: terms,
      a: { ...a, offset: (a.offset ?? 0) + first * a.columnStride },
      b: { ...b, offset: (b.offset ?? 0) + first * b.rowStride },
      label: terms === k ? label : `${label}, terms from ${first + 1} on`,
    });
  }
  return true;
};

function record(recorder: Recorder, plan: ShallowPlan, ACCUMULATE: boolean, part: WholeMatmulCall): void {
  const { call, shared } = productDispatch(part, plan, 0);
  const { n, k: TERMS, batches = 1, a, b } = call;
  recorder.dispatch(shallowSubgroupShader, {
    ...shared,
    operands: { ...shared.operands, a4: a.operand, b4: b.operand },
    tunables: {
      SUBGROUP: plan.variant.subgroup,
      ROWS: plan.variant.rows,
      TERMS,
      ACCUMULATE,
      VECTOR_A: inWholeVectors(a, batches),
      VECTOR_B: n % 4 === 0 && inWholeVectors(b, batches),
      FOURS: n % 4 === 0,
      PLAIN: isPlain(call),
    },
  });
}

function isShallow(plan: TunedPlan): plan is ShallowPlan {
  return plan.variant.kind === 'shallow';
}

/** The rule: all terms at once where that is faster, undefined elsewhere. */
export function planShallow(adapter: Adapter, shape: ProductShape): ShallowPlan | undefined {
  const plan = shallowPlans(adapter, shape)[0];
  return plan && areTermsFewEnough(plan, shape) ? plan : undefined;
}

/**
 * Measured on lavapipe (8 lanes) and SwiftShader (4) against the tiles: up to 16 terms, 1.5 to 4 times as fast wherever rows
 * are many. Of a single turn nothing is gained where a loop runs once more with no lane active, which is SwiftShader's way, and
 * on lavapipe not by more than 7 terms: tiles are 1.1 to 1.7 times as fast. On SwiftShader, 17 to 32 terms gain 1.7 to 2.7 and
 * up to 64, in two passes, 1.3, once turns are enough to make up for loading B; on lavapipe 32 terms gain a tenth, and 64 lose.
 */
function areTermsFewEnough({ turns, variant, swap, kChunk }: ShallowPlan, { m, n, k }: ProductShape): boolean {
  const [height, width] = swap ? [n, m] : [m, n];
  const isSwiftShader = variant.subgroup === 4;
  if (k > 16 && (!isSwiftShader || turns < 8)) return false;
  // A second pass reads C, one by one where columns do not come in fours.
  if (k > kChunk && width % 4 > 0) return false;
  return turns > 1 || (!isSwiftShader && height > 1 && k < 8);
}

/** All plans that the adapter can run, the one with less to do for rows and columns past the edges first. */
export function shallowPlans(adapter: Adapter, { m, n, k, batches = 1 }: ProductShape): ShallowPlan[] {
  if (!mayBeShallow(adapter, { k })) return [];
  const subgroupSize = adapter.subgroupSize!;
  const passes = Math.ceil(k / TERMS);
  // Whole vectors stay such.
  const kChunk = passes > 1 ? Math.ceil(k / passes / 4) * 4 : k;
  const plans = [false, true].map((swap) => {
    const [height, width] = swap ? [n, m] : [m, n];
    const rows = ROWS.find((count) => count <= subgroupSize && count < 2 * height)!;
    const tilesN = Math.ceil(width / (4 * subgroupSize));
    const steps = Math.ceil(height / rows);
    const wanted = Math.ceil((2 * busyWorkgroups(adapter)) / (tilesN * batches));
    const turns = Math.min(MOST_TURNS, Math.max(1, Math.floor(steps / wanted)));
    const variant: ShallowVariant = { kind: 'shallow', subgroup: subgroupSize, rows };
    const tilesM = Math.ceil(steps / turns);
    const plan: ShallowPlan = { variant, tilesM, tilesN, swap, turns, splits: 1, kChunk };
    return { plan, work: tilesN * steps * rows };
  });
  return plans.sort((one, other) => one.work - other.work).map(({ plan }) => plan);
}
