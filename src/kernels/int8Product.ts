import { int8MatvecSubgroupShader } from './generated/int8/int8MatvecSubgroup.ts';
import { int8MatvecTiledShader } from './generated/int8/int8MatvecTiled.ts';
import { withDot } from './int8Dot.ts';
import type { Int8Output } from './int8Output.ts';
import type { QuantizedRows } from './int8Planes.ts';
import { int8Tiles } from './int8Tiles.ts';
import type { Int8Weights } from './int8Weights.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import { type Adapter, cutProduct } from './productVariant.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';

export interface Int8Product extends Omit<Int8Output, 'codes'> {
  x: QuantizedRows;
  weights: PackedOperand<Int8Weights>;
  /** [m, rows] */
  out: Operand<'f32'>;
  m: number;
}

export type Int8ProductVariant = { kind: 'tiles' } | { kind: 'matvec'; columns: number; subgroup?: number };

/** Rows of x up to which a matrix-vector product, four rows at a time at most, takes less time than mostly empty tiles. */
const MOST_COLUMNS = 8;
/** Rows of a workgroup of the tiled kernel. */
const TILED_ROWS = 32;

export function chooseInt8Product(adapter: Adapter, { m, rows }: { m: number; rows: number }): Int8ProductVariant {
  if (m > MOST_COLUMNS) return { kind: 'tiles' };
  const { variant } = cutProduct(adapter, rows, m);
  const columns = Math.min(m, 4);
  return { kind: 'matvec', columns, ...(variant.kind === 'subgroup' && { subgroup: variant.subgroup }) };
}

/** out [m, rows] = clamp(x [m, k] · Wᵀ + bias + residual) with both operands quantized; the sums are exact in int32. */
export function int8Product(recorder: Recorder, call: Int8Product): void {
  const { x, weights, bias, residual, out, m, lo = LOWEST, hi = HIGHEST, label = 'int8 product' } = call;
  const { rows, k, at } = weights;
  if (m * rows === 0) return;
  if (x.m !== m || x.k !== k) throw new Error(`${label}: x of ${x.m} × ${x.k} for ${m} × ${k}`);
  if (weights.groups !== 1 || weights.taps !== 1) throw new Error(`${label}: weights packed for a convolution`);
  const words = Math.ceil(k / 4);
  const variant = chooseInt8Product(recorder.capabilities, { m, rows });
  if (variant.kind === 'tiles') {
    // Every row of x is an image of one pixel.
    const xAt = { offset: 0, word: 1, ky: 0, kx: 0, image: words, oy: 0, ox: 0 };
    int8Tiles(recorder, { ...call, shape: { n: m, channels: rows, h: 1, w: 1 }, kw: 1, xAt, label });
    return;
  }
  const { columns, subgroup } = variant;
  const quads = weights.rowStride / 4;
  const perGroup = subgroup === undefined ? TILED_ROWS : 4 * subgroup;
  const rowGroups = Math.ceil(rows / perGroup);
  // The subgroup kernel reads whole vectors.
  const unit = subgroup === undefined ? 1 : 4;
  const nothing = !bias || !residual ? recorder.temporary('f32', 4, 'nothing to add') : undefined;
  const shared = {
    operands: { x: x.operand, weights: weights.operand, bias: bias ?? nothing!, residual: residual ?? nothing!, out },
    args: {
      ...{ m: rows, n: m, words, x_row: words, quads, scales: at.scales / unit, sums: at.sums / unit },
      ...{ zero: 0 - x.shift, x_scale: x.scale },
      ...{ row_groups: rowGroups, bias: bias ? 1 : 0, residual: residual ? 1 : 0, lo, hi },
    },
    workgroups: grid(rowGroups * Math.ceil(m / columns), 1),
    work: { ops: 2 * rows * k * m },
    label,
  };
  if (subgroup !== undefined) {
    recorder.dispatch(int8MatvecSubgroupShader, {
      ...shared,
      tunables: { SUBGROUP: subgroup, COLUMNS: columns, WG: subgroup },
    });
  } else {
    recorder.dispatch(withDot(int8MatvecTiledShader, recorder.capabilities), {
      ...shared,
      tunables: { COLUMNS: columns, ROWS: TILED_ROWS },
    });
  }
}
