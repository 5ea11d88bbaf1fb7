import { dotsSubgroupShader, dotsWorkgroupShader } from './generated/dots.ts';
import {
  type DotsPlan,
  inParts,
  inWholeVectors,
  type ProductAlternatives,
  type ProductShape,
  productDispatch,
  transpose,
} from './matmul.ts';
import { type Adapter, type DotsVariant, FEW_ROWS, leastDotsTerms, splitSum } from './productVariant.ts';

/** Terms of a part of a split sum, at least. Measured on adapters that run on a CPU alone: what takes longer than adding parts. */
const LEAST_SHARE = { gpu: 4096, cpu: 25000 };
/** Of a workgroup on a GPU. */
const LANES = 64;

/**
 * Products of few rows by columns that lie term by term (dense layers as PyTorch exports them), and of such rows by few
 * columns, as dot products whose lanes go along the terms. A module of its own, which is loaded where a plan has such
 * products.
 */
export const matmulDots: ProductAlternatives = (recorder, whole, shape, tuned) => {
  const plan = tuned ?? planDots(recorder.capabilities, shape);
  if (plan?.variant.kind !== 'dots') return false;
  const { rows: ROWS, columns, lanes: LANES, subgroup } = plan.variant;
  inParts(recorder, plan.splits, whole, (part, outSplit) => {
    const { call, shared } = productDispatch(part, plan, outSplit);
    const { m, n, a, b, batches = 1 } = call;
    // The stride of a single row is never used.
    const VECTOR_A = inWholeVectors(m === 1 ? { ...a, rowStride: 0 } : a, batches);
    const VECTOR_B = inWholeVectors(n === 1 ? transpose({ ...b, columnStride: 0 }) : transpose(b), batches);
    recorder.dispatch(subgroup ? dotsSubgroupShader : dotsWorkgroupShader, {
      ...shared,
      operands: { ...shared.operands, a4: a.operand, b4: b.operand },
      tunables: { LANES, ROWS, WIDE: columns === 8, SINGLE: n === 1, VECTOR_A, VECTOR_B },
    });
  });
  return true;
};

/** The rule: dot products where they are faster, undefined elsewhere. */
export function planDots(adapter: Adapter, shape: ProductShape): DotsPlan | undefined {
  const plan = dotsPlans(adapter, shape)[0];
  return plan && areDotsFaster(adapter, shape) ? plan : undefined;
}

/**
 * Measured on lavapipe (8 lanes) and SwiftShader with 512 to 100000 terms: rows and columns that both are few leave most of
 * a tile by subgroups empty, and dot products are 1.1 to 2.5 times as fast. A single row by some dozens of columns keeps
 * more of lavapipe's subgroups busy as dot products; by more, these win only where columns do not begin at whole vectors,
 * which may all lie in one set of the cache.
 * Of GPUs nothing was measured: the other tiles have 16 rows at the least there, and keep few workgroups busy.
 */
function areDotsFaster(adapter: Adapter, { m, n, k }: ProductShape): boolean {
  if (k < leastDotsTerms(adapter, { m, n })) return false;
  return adapter.kind === 'gpu' || Math.max(m, n) <= 64 || k % 4 > 0;
}

/** All plans that the adapter can run, the one with the fewest tiles of A's rows first. */
export function dotsPlans(adapter: Adapter, shape: ProductShape): DotsPlan[] {
  const { m, n, k, batches = 1, aRows = true, bRows = true, contiguous = true } = shape;
  const { kind, subgroupSize } = adapter;
  const subgroup = kind === 'cpu';
  if (subgroup && (subgroupSize === undefined || subgroupSize < 4 || subgroupSize > 64)) return [];
  const lanes = subgroup ? subgroupSize! : LANES;
  const plans: DotsPlan[] = [];
  for (const swap of [false, true]) {
    const [few, many, isAlongTerms] = swap ? [n, m, aRows] : [m, n, !bRows];
    if (few > FEW_ROWS || !isAlongTerms) continue;
    for (const rows of [4, 2, 1] as const) {
      if (rows >= 2 * few && rows > 1) continue;
      const columns = subgroup && rows === 1 && many > 4 ? 8 : 4;
      const [tilesM, tilesN] = [Math.ceil(few / rows), Math.ceil(many / columns)];
      const variant: DotsVariant = { kind: 'dots', rows, columns, lanes, subgroup };
      const tiles = tilesM * tilesN * batches;
      const { splits, share } = splitSum(adapter, { tiles, length: k, granule: 4 * lanes, least: LEAST_SHARE[kind] });
      const isSplit = contiguous && splits > 1;
      plans.push({
        variant,
        tilesM,
        tilesN,
        swap,
        ...(isSplit ? { splits, kChunk: share } : { splits: 1, kChunk: k }),
      });
    }
  }
  return plans;
}
