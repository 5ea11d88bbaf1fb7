import { sparseSubgroupShader, sparseTiledShader } from './generated/sparse.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import type { Adapter } from './productVariant.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';
import { recordWords, type SparseLayout, type SparseWeights } from './sparseFormat.ts';

/** Sparse weights with their words on the GPU. */
export type SparseOperand = PackedOperand<SparseWeights>;

/**
 * `subgroup`: rows along the lanes of a CPU adapter's subgroup, `columns` columns a tile. `tiled`: workgroup memory, a
 * tile of 4·`across` columns per workgroup.
 */
export type SparseVariant = { kind: 'subgroup'; subgroup: 8 | 4; columns: number } | { kind: 'tiled'; across: number };

/** A load of a value for every lane, in multiply-adds of the same: alone, and as one of four at once. */
const LOAD = 12;
const LOAD_OF_FOUR = 6;

/**
 * Sums that a lane keeps. They are spilled and read back for every window, which pays with several slots for each; the
 * unrolled loop must stay within a core's instruction cache.
 */
function mostSums({ slots }: SparseLayout): number {
  return slots < 4 ? 128 : 256;
}

/** Time of one window for a tile of so many columns on a CPU adapter, in multiply-adds of all lanes. Fits lavapipe's times. */
export function windowCost(layout: SparseLayout, columns: number): number {
  const { sets, slots } = layout;
  const { list, row } = recordWords(layout);
  const alone = columns + (row % 4) + (list > 0 ? 1 : 0);
  return LOAD * alone + LOAD_OF_FOUR * (row - (row % 4)) + sets * slots * columns;
}

/** How n columns are cut for weights of the layout. */
export function chooseSparseVariant(adapter: Adapter, layout: SparseLayout, n: number): SparseVariant {
  const { kind, subgroupSize } = adapter;
  if (kind === 'cpu' && (subgroupSize === 8 || subgroupSize === 4)) {
    let columns = 1;
    let least = Number.POSITIVE_INFINITY;
    for (const size of [1, 2, 4, 8, 16, 32]) {
      const cost = Math.ceil(n / size) * windowCost(layout, size);
      const sums = size * layout.sets;
      if (sums <= mostSums(layout) && cost < least) {
        least = cost;
        columns = size;
      }
    }
    return { kind: 'subgroup', subgroup: subgroupSize, columns };
  }
  // 256 invocations; a tile of few rows takes more columns instead, up to 128.
  let across = 1;
  while (across < 32 && across * 8 * layout.sets < 256 && 4 * across < n) across *= 2;
  return { kind: 'tiled', across };
}

export interface SparseCall {
  weights: SparseOperand;
  x: Operand<'f32'>;
  bias?: Operand<'f32'> | undefined;
  /** Added to the result before it is bounded; of its shape. */
  residual?: Operand<'f32'> | undefined;
  out: Operand<'f32'>;
  /** Columns: pixels of all images. */
  n: number;
  kw: number;
  khw: number;
  /** Distances in x of one channel, kernel row, kernel column, image, group, output row and output column. */
  xAt: { channel: number; ky: number; kx: number; image: number; group: number; oy: number; ox: number };
  /** Columns in an output row and in an image. */
  ow: number;
  ohw: number;
  outAt: { image: number; row: number };
  lo?: number | undefined;
  hi?: number | undefined;
  label: string;
}

export function sparseDispatch(recorder: Recorder, call: SparseCall): void {
  const { weights, x, bias, residual, out, n, kw, khw, xAt, ow, ohw, outAt, label } = call;
  const { layout, tiles, groups } = weights;
  if (tiles === 0 || n === 0) return;
  const variant = chooseSparseVariant(recorder.capabilities, layout, n);
  const columns = variant.kind === 'subgroup' ? variant.columns : 4 * variant.across;
  const shared = {
    operands: { weights: weights.operand, x, bias: bias ?? x, residual: residual ?? x, out },
    args: {
      k: Math.max(1, weights.k),
      n,
      kw,
      khw,
      x_channel: xAt.channel,
      x_ky: xAt.ky,
      x_kx: xAt.kx,
      x_image: xAt.image,
      x_group: xAt.group,
      x_oy: xAt.oy,
      x_ox: xAt.ox,
      ow,
      ohw,
      out_image: outAt.image,
      out_row: outAt.row,
      order: weights.order,
      scales: weights.scales,
      records: weights.records,
      tiles,
      group_tiles: tiles / groups,
      rows: weights.rows,
      bias: bias ? 1 : 0,
      residual: residual ? 1 : 0,
      lo: call.lo ?? LOWEST,
      hi: call.hi ?? HIGHEST,
    },
    workgroups: grid(tiles * Math.ceil(n / columns), 1),
    work: { flops: 2 * weights.nonzeros * n },
    label,
  };
  const tunables = {
    SETS: layout.sets,
    SLOTS: layout.slots,
    INDEX_BITS: layout.indexBits,
    GROUP_SLOTS: layout.groupSlots,
    TERM_BITS: layout.termBits,
    VALUE_BITS: layout.valueBits,
  };
  if (variant.kind === 'subgroup') {
    const { subgroup } = variant;
    const own = { SUBGROUP: subgroup, WG: subgroup, COLUMNS: columns };
    const operands = { ...shared.operands, weights4: weights.operand };
    recorder.dispatch(sparseSubgroupShader, { ...shared, operands, tunables: { ...tunables, ...own } });
  } else {
    const own = { HEIGHT: 8 * layout.sets, ACROSS: variant.across };
    recorder.dispatch(sparseTiledShader, { ...shared, tunables: { ...tunables, ...own } });
  }
}
