import { matmulSmallShader } from './generated/small.ts';
import { grid } from './kernel.ts';
import {
  inWholeVectors,
  isPlain,
  type MatmulCut,
  matmulCuts,
  type ProductAlternatives,
  type ProductShape,
  productDispatch,
  type SmallPlan,
} from './matmul.ts';
import { type Adapter, columnsOf, QUAD_COLUMNS } from './productVariant.ts';

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
  return isSmall(adapter, shape) ? smallPlans(adapter, shape)[0] : undefined;
}

/**
 * Measured on lavapipe (8 lanes) and SwiftShader (4): of many matrices wherever the other tiles would be empty for the most
 * part, 1.1 to 3 times as fast; of a single long one, with so few terms that tiles take longer to begin and to end than to
 * add up, 1.1 to 4. Of GPUs nothing was measured: their tiles of 64 x 64 are all edge.
 */
function isSmall(adapter: Adapter, { m, n, k, batches = 1 }: ProductShape): boolean {
  const [few, many] = [Math.min(m, n), Math.max(m, n)];
  const areMany = batches >= 32;
  if (adapter.kind === 'gpu') return areMany && many <= 8 && k <= 64;
  const isSwiftShader = adapter.subgroupSize === 4;
  if (areMany) {
    if (k <= 2048 && fullness(adapter, m, n, batches) <= (isSwiftShader ? 0.5 : 0.4)) return true;
    if (!isSwiftShader && ((many <= 8 && k <= 32) || (many <= 10 && k <= 16))) return true;
  }
  if (Math.ceil(m / 8) * Math.ceil(n / 8) * batches < 256) return false;
  if (isSwiftShader) return (few <= 4 && k <= 16) || (few <= 8 && k <= 8);
  // Of eight terms, tiles by subgroups read whole vectors.
  return (few === 1 && k <= 16) || (few <= 8 && k < 8);
}

/** The part of a product's cheapest tiles that does not hang over its edges. */
function fullness(adapter: Adapter, m: number, n: number, batches: number): number {
  const cuts = [...matmulCuts(adapter, { m, n, k: 1, batches }), ...matmulCuts(adapter, { m: n, n: m, k: 1, batches })];
  const { variant, tilesM, tilesN } = cuts.reduce((best, cut) => (cut.cost < best.cost ? cut : best));
  return (m * n) / (tilesM * tilesN * areaOf(variant));
}

/** Elements of C that a tile has room for. */
function areaOf(variant: MatmulCut['variant']): number {
  switch (variant.kind) {
    case 'tiled':
      return 16 * variant.tm * variant.tn;
    case 'matrices':
      return variant.rows * variant.columns;
    case 'quads':
      return variant.rows * QUAD_COLUMNS;
    case 'subgroup':
      return variant.rows * columnsOf(variant);
  }
}

/** All plans, for any number of matrices of any size; on a GPU the one with the smaller tiles, which keep more lanes busy, first. */
export function smallPlans({ kind }: Adapter, { m, n, k }: ProductShape): SmallPlan[] {
  const [first, second] = kind === 'gpu' ? ([4, 8] as const) : ([8, 4] as const);
  return (Math.max(m, n) > 4 ? [first, second] : [first]).map((most) => {
    const tiles = { tilesM: Math.ceil(m / most), tilesN: Math.ceil(n / most) };
    return { variant: { kind: 'small', most }, ...tiles, swap: false, splits: 1, kChunk: k };
  });
}
