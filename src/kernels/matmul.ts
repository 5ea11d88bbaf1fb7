import { matmulTiledShader } from './generated/matmul.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import {
  type Adapter,
  type DotsVariant,
  inHalf,
  type MatrixVariant,
  PRODUCT_ROWS,
  type ProductVariant,
  productCuts,
  type QuadsVariant,
  quadCuts,
  type ShallowVariant,
  type SmallVariant,
  splitSum,
  type TileCount,
  tiledTunables,
} from './productVariant.ts';
import { HIGHEST, LOWEST, reduceSplits } from './reduceSplits.ts';

/** A matrix inside a buffer: element (batch, i, j) is at offset + batch·batchStride + i·rowStride + j·columnStride. */
export interface MatrixView {
  operand: Operand<'f32'>;
  rowStride: number;
  columnStride: number;
  offset?: number;
  /** 0, the default, uses one matrix for the whole batch. */
  batchStride?: number;
}

export interface MatmulCall {
  m: number;
  n: number;
  k: number;
  batches?: number;
  /** [m, k], [k, n] and [m, n]. */
  a: MatrixView;
  b: MatrixView;
  out: MatrixView;
  /** Added after scaling by beta; strides of 0 broadcast it. */
  bias?: { operand: Operand<'f32'>; rowStride: number; columnStride: number };
  alpha?: number;
  beta?: number;
  /** Bounds of the result; a fused Relu has lo = 0. */
  lo?: number;
  hi?: number;
  /**
   * Ways that are faster for some products, and on adapters that run on a CPU for all: `productAlternatives`, or those of
   * them that a plan may need, each a module of its own. Without any, tiles in workgroup memory.
   */
  alternatives?: ProductAlternatives | undefined;
  label?: string;
}

/** A call with nothing left open. */
export type WholeMatmulCall = MatmulCall & Required<Pick<MatmulCall, 'alpha' | 'beta' | 'lo' | 'hi' | 'label'>>;

/** Records the product, if there is a better way for it than the rule's or, by measurement, than all others. */
export type ProductAlternatives = (
  recorder: Recorder,
  call: WholeMatmulCall,
  shape: ProductShape,
  tuned: TunedPlan | undefined,
) => boolean;

/** How a product is cut into tiles. */
export type MatmulCut = TileCount<ProductVariant | MatrixVariant | QuadsVariant>;

export interface MatmulPlan extends MatmulCut {
  /** Computes the transpose out^T = b^T·a^T instead: the same numbers in tiles that fit better. */
  swap: boolean;
  splits: number;
  kChunk: number;
}

/** What all kernels' dispatches are made from. */
type TilePlan = Omit<MatmulPlan, 'variant' | 'cost'>;

/** As dot products; see matmulDots.ts. */
export type DotsPlan = TilePlan & { variant: DotsVariant };

/** All terms at once; see matmulShallow.ts. */
export type ShallowPlan = TilePlan & { variant: ShallowVariant; turns: number };

/** Many small matrices; see matmulSmall.ts. */
export type SmallPlan = TilePlan & { variant: SmallVariant };

/** What may have been measured to be the fastest. */
export type TunedPlan = MatmulPlan | DotsPlan | ShallowPlan | SmallPlan;

export interface ProductShape {
  m: number;
  n: number;
  k: number;
  batches?: number;
  /** Whether columns of a and of b lie next to each other: all that a measured choice tells layouts apart by. */
  aRows?: boolean;
  bRows?: boolean;
  /** Whether the result lies row by row without gaps, as a split sum needs it. */
  contiguous?: boolean;
  /** Whether half precision will do. */
  half?: boolean;
}

/** Variant, tiles and split of a product, from the adapter, its measured choices and the shape alone. */
export function planMatmul(adapter: Adapter, shape: ProductShape): MatmulPlan {
  return planProduct(adapter, shape, adapter.tuned?.choose<TunedPlan>('product', adapter, shape));
}

/** As measured, or by the rule. */
export function planProduct(adapter: Adapter, shape: ProductShape, tuned: TunedPlan | undefined): MatmulPlan {
  if (tuned && 'cost' in tuned) return tuned;
  const byMatrices = adapter.matrices?.choose<MatmulCut>(adapter, shape);
  if (byMatrices) return splitProduct(adapter, shape, byMatrices, false);
  const straight = cheapest(matmulCuts(adapter, shape));
  const swapped = cheapest(matmulCuts(adapter, { ...shape, m: shape.n, n: shape.m }));
  const swap = swapped.cost < straight.cost;
  const cut = swap ? swapped : straight;
  return splitProduct(adapter, shape, shape.half ? inHalf(cut) : cut, swap);
}

/**
 * The cuts that a product may take, save those by subgroup matrices. Tiles whose rows lie between the powers of two are among
 * them only where they are the cheapest.
 */
export function matmulCuts(adapter: Adapter, { m, n, batches = 1 }: ProductShape): MatmulCut[] {
  const cuts: MatmulCut[] = [...productCuts(adapter, m, n, PRODUCT_ROWS), ...quadCuts(adapter, m, n, batches)];
  const { cost } = cheapest(cuts);
  return cuts.filter(({ variant, ...cut }) => !('rows' in variant) || isPowerOfTwo(variant.rows) || cut.cost === cost);
}

function cheapest(cuts: readonly MatmulCut[]): MatmulCut {
  return cuts.reduce((best, cut) => (cut.cost < best.cost ? cut : best));
}

function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0;
}

/** A cut of the product, or of its transpose, with its sum split as the rule does. */
export function splitProduct(
  adapter: Adapter,
  { k, batches = 1 }: ProductShape,
  cut: MatmulCut,
  swap: boolean,
): MatmulPlan {
  const tiles = cut.tilesM * cut.tilesN * batches;
  const { splits, share } = splitSum(adapter, { tiles, length: k, granule: 16, least: leastShare(cut.variant) });
  return { ...cut, swap, splits, kChunk: share };
}

/** Terms that a part of a split sum has at least, on a GPU. */
export const LEAST_SHARE = 256;

/**
 * Terms that a part of a split sum has at least. On a CPU adapter the parts' own dispatch and their sum cost some 40 µs:
 * what a tile takes for 18000 terms of a row, with the loads of its columns counted as ten rows.
 */
function leastShare(variant: MatmulCut['variant']): number {
  const isBySubgroups = variant.kind === 'subgroup' || variant.kind === 'quads';
  return isBySubgroups ? Math.ceil(18000 / (variant.rows + 10)) : LEAST_SHARE;
}

/** A row-major matrix, or its transpose, as a view. */
export function matrix(operand: Operand<'f32'>, columns: number, transposed = false): MatrixView {
  return transposed
    ? { operand, rowStride: 1, columnStride: columns }
    : { operand, rowStride: columns, columnStride: 1 };
}

/** out = clamp(alpha·a·b + beta·bias), batched, any strides. A sum over no terms (k = 0) is zero. */
export function matmul(recorder: Recorder, call: MatmulCall): void {
  const { m, n, k, batches = 1, alpha = 1, beta = 1, lo = LOWEST, hi = HIGHEST } = call;
  if (m * n * batches === 0) return;
  const [aRows, bRows] = [call.a.columnStride === 1, call.b.columnStride === 1];
  const { capabilities } = recorder;
  const half = capabilities.precision === 'f16';
  const shape = { m, n, k, batches, aRows, bRows, contiguous: isContiguous(call), half };
  const { bias } = call;
  const label = call.label ?? 'product';
  const whole = { ...call, alpha, beta: bias ? beta : 0, lo, hi, label };
  const tuned = capabilities.tuned?.choose<TunedPlan>('product', capabilities, shape);
  if (call.alternatives?.(recorder, whole, shape, tuned)) return;
  // Tiles of subgroups are one of the alternatives; adapters of every kind have those in workgroup memory.
  const planned = planProduct(capabilities, shape, tuned);
  const plan = isBySubgroups(planned)
    ? planProduct({ ...capabilities, subgroupSize: undefined }, shape, undefined)
    : planned;
  inParts(recorder, plan.splits, whole, (part, outSplit) => dispatch(recorder, plan, part, outSplit));
}

/** Tiles by subgroups, without workgroup memory; see matmulSubgroup.ts. */
export type SubgroupPlan = MatmulPlan & { variant: QuadsVariant | Extract<ProductVariant, { kind: 'subgroup' }> };

export function isBySubgroups(plan: MatmulPlan): plan is SubgroupPlan {
  return plan.variant.kind === 'subgroup' || plan.variant.kind === 'quads';
}

/** Records a product whose sum is split, and the sum of its parts; of a single part the product alone. */
export function inParts(
  recorder: Recorder,
  splits: number,
  whole: WholeMatmulCall,
  dispatch: (call: WholeMatmulCall, outSplit: number) => void,
): void {
  if (splits === 1) {
    dispatch(whole, 0);
    return;
  }
  // The parts are laid out as plain [splits][batches][m][n]; the sum of the splits brings them to their place.
  const { m, n, batches = 1, out, bias, alpha, beta, lo, hi, label } = whole;
  const size = batches * m * n;
  const parts = recorder.temporary('f32', splits * size, `${label}: parts`);
  const partView = { operand: parts, rowStride: n, columnStride: 1, batchStride: m * n };
  if (!isContiguous(whole)) throw new Error(`${label}: a split product needs a contiguous result`);
  const plain = { ...whole, out: partView, bias: undefined, alpha: 1, beta: 0, lo: LOWEST, hi: HIGHEST };
  dispatch({ ...plain, label: `${label}, ${splits} splits` }, size);
  reduceSplits(recorder, {
    parts,
    out: out.operand,
    ...{ splits, size },
    offset: out.offset,
    rows: m,
    columns: n,
    bias: bias && { ...bias, beta },
    ...{ alpha, lo, hi },
    label: `${label}: sum of splits`,
  });
}

function isContiguous({ m, n, batches = 1, out }: MatmulCall): boolean {
  return out.rowStride === n && out.columnStride === 1 && (batches === 1 || out.batchStride === m * n);
}

/** What all kernels take of a product, or of its transpose. */
export function productDispatch(whole: WholeMatmulCall, plan: TilePlan, outSplit: number) {
  const call = plan.swap ? transposed(whole) : whole;
  const { m, n, k, batches = 1, a, b, out, bias, alpha, beta, lo, hi, label } = call;
  // A workgroup is one tile: on a CPU adapter, a subgroup of its own, so that no subgroup idles over the edge.
  const planeGroups = plan.tilesM * plan.tilesN;
  const shared = {
    operands: { a: a.operand, b: b.operand, bias: bias?.operand ?? b.operand, out: out.operand },
    args: {
      m,
      n,
      k,
      a_offset: a.offset ?? 0,
      a_batch: a.batchStride ?? 0,
      a_m: a.rowStride,
      a_k: a.columnStride,
      b_offset: b.offset ?? 0,
      b_batch: b.batchStride ?? 0,
      b_k: b.rowStride,
      b_n: b.columnStride,
      out_offset: out.offset ?? 0,
      out_batch: out.batchStride ?? 0,
      out_m: out.rowStride,
      out_n: out.columnStride,
      bias_m: bias?.rowStride ?? 0,
      bias_n: bias?.columnStride ?? 0,
      k_chunk: plan.kChunk,
      splits: plan.splits,
      out_split: outSplit,
      tiles_n: plan.tilesN,
      plane_groups: planeGroups,
      batches,
      alpha,
      beta,
      lo,
      hi,
    },
    workgroups: grid(planeGroups * plan.splits * batches, 1),
    work: { flops: 2 * m * n * k * batches },
    label,
  };
  return { call, shared };
}

function dispatch(recorder: Recorder, plan: MatmulPlan, whole: WholeMatmulCall, outSplit: number): void {
  const { shared } = productDispatch(whole, plan, outSplit);
  const { variant } = plan;
  if (variant.kind === 'matrices') {
    const shader = recorder.capabilities.matrices!.shader as MatmulShader;
    recorder.dispatch(shader, { ...shared, tunables: variant.tunables });
  } else if (variant.kind === 'tiled') {
    const Tile4 = variant.half ? 'vec4h' : 'vec4f';
    recorder.dispatch(matmulTiledShader, { ...shared, tunables: { ...tiledTunables(variant), Tile4 } });
  }
}

/** Whether there is nothing to do to the sums. */
export function isPlain({ bias, alpha, lo, hi }: WholeMatmulCall): boolean {
  return bias === undefined && alpha === 1 && lo === LOWEST && hi === HIGHEST;
}

/** As `MatrixProducts` promises it, with tunables of its own. */
type MatmulShader = Omit<typeof matmulTiledShader, 'constants' | 'aliases' | 'overrides'> & {
  constants: Record<Exclude<keyof MatrixVariant['tunables'], 'Component'>, { type: string; value: string }>;
  aliases: { Component: { value: string } };
  overrides: Record<never, { type: string }>;
};

/** Whether four neighbouring columns from a multiple of four on are an aligned vec4. */
export function inWholeVectors(
  { rowStride, columnStride, offset = 0, batchStride = 0 }: MatrixView,
  batches: number,
): boolean {
  const steps = [rowStride, offset, batches > 1 ? batchStride : 0];
  return columnStride === 1 && steps.every((step) => step % 4 === 0);
}

function transposed<Call extends MatmulCall>(call: Call): Call {
  const { m, n, a, b, out, bias } = call;
  return { ...call, m: n, n: m, a: transpose(b), b: transpose(a), out: transpose(out), bias: bias && transpose(bias) };
}

export function transpose<View extends Pick<MatrixView, 'rowStride' | 'columnStride'>>(view: View): View {
  return { ...view, rowStride: view.columnStride, columnStride: view.rowStride };
}
