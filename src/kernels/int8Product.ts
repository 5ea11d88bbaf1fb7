import { int8MatvecTiledShader } from './generated/int8.ts';
import { withDot } from './int8Dot.ts';
import type { Int8Output } from './int8Output.ts';
import type { QuantizedRows } from './int8Planes.ts';
import { int8Adapter, int8Tiles } from './int8Tiles.ts';
import type { Int8Weights } from './int8Weights.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import { type Adapter, cutProduct, type TileCount } from './productVariant.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';

export interface Int8Product extends Omit<Int8Output, 'codes'> {
  x: QuantizedRows;
  weights: PackedOperand<Int8Weights>;
  /** [m, rows] */
  out: Operand<'f32'>;
  m: number;
}

/**
 * `subgroup`: tiles of `columns` rows of x, without workgroup memory, for adapters that run on a CPU. On others, `matvec`:
 * up to four rows of x at a time. `tiles`: many, by the rule on others alone.
 */
export type Int8ProductVariant =
  | { kind: 'subgroup'; subgroup: number; columns: number }
  | { kind: 'matvec'; columns: number }
  /** Without a cut, by the rule. */
  | { kind: 'tiles'; cut?: TileCount };

export type Int8ProductShape = { m: number; rows: number } & Partial<Pick<Int8Weights, 'k' | 'bits'>>;

/** Rows of x up to which a matrix-vector product beats mostly empty tiles on a GPU. */
const MOST_COLUMNS = 8;
/** Rows of a workgroup of the matrix-vector kernel. */
const MATVEC_ROWS = 32;

export function chooseInt8Product(adapter: Adapter, shape: Int8ProductShape): Int8ProductVariant {
  const tuned = adapter.tuned?.choose<Int8ProductVariant>('int8product', adapter, shape);
  if (tuned) return tuned;
  const { m, rows } = shape;
  const { variant } = cutProduct(adapter, rows, m);
  if (variant.kind === 'tiled')
    return m > MOST_COLUMNS ? { kind: 'tiles' } : { kind: 'matvec', columns: Math.min(m, 4) };
  // The loads of a tile's weights cost about as much as the work of four rows of x.
  const cost = (columns: number) => Math.ceil(m / columns) * (columns + 4);
  const columns = [8, 4, 2, 1].reduce((best, next) => (cost(next) < cost(best) ? next : best));
  return { kind: 'subgroup', subgroup: variant.subgroup, columns };
}

/** out [m, rows] = clamp(x [m, k] · Wᵀ + bias + residual) with both operands quantized; the sums are exact in int32. */
export function int8Product(recorder: Recorder, call: Int8Product): void {
  const { x, weights, bias, residual, out, m, processor, lo = LOWEST, hi = HIGHEST, label = 'int8 product' } = call;
  const { rows, k, at } = weights;
  if (m * rows === 0) return;
  if (x.m !== m || x.k !== k) throw new Error(`${label}: x of ${x.m} × ${x.k} for ${m} × ${k}`);
  if (weights.groups !== 1 || weights.taps !== 1) throw new Error(`${label}: weights packed for a convolution`);
  const variant = chooseInt8Product(int8Adapter(recorder, processor), { m, rows, k, bits: weights.bits });
  if (variant.kind === 'tiles') {
    // Every row of x is an image of one pixel.
    const xAt = { offset: 0, word: 1, ky: 0, kx: 0, image: x.rowWords, oy: 0, ox: 0 };
    const images = { n: m, channels: rows, h: 1, w: 1 };
    int8Tiles(recorder, { ...call, shape: images, kw: 1, xAt, cut: variant.cut, label });
    return;
  }
  const perGroup = variant.kind === 'subgroup' ? 4 * variant.subgroup : MATVEC_ROWS;
  const rowGroups = Math.ceil(rows / perGroup);
  const nothing = !bias || !residual ? recorder.temporary('f32', 4, 'nothing to add') : undefined;
  const operands = {
    x: x.operand,
    weights: weights.operand,
    bias: bias ?? nothing!,
    residual: residual ?? nothing!,
    out,
  };
  const args = {
    ...{ m: rows, n: m, quads: weights.rowStride / 4, row_groups: rowGroups, zero: 0 - x.shift, x_scale: x.scale },
    ...{ bias: bias ? 1 : 0, residual: residual ? 1 : 0, lo, hi },
  };
  const workgroups = grid(rowGroups * Math.ceil(m / variant.columns), 1);
  const work = { ops: 2 * rows * k * m };
  if (processor && variant.kind === 'subgroup') {
    const { subgroup, columns } = variant;
    recorder.dispatch(withDot(processor.dense, recorder.capabilities), {
      operands,
      args: { ...args, fours: Math.ceil(k / 16), x_row: x.rowWords / 4, scales: at.scales / 4, sums: at.sums / 4 },
      tunables: { SUBGROUP: subgroup, COLUMNS: columns, BITS: weights.bits },
      workgroups,
      work,
      label,
    });
  } else {
    recorder.dispatch(withDot(int8MatvecTiledShader, recorder.capabilities), {
      operands,
      args: { ...args, words: Math.ceil(k / 4), x_row: x.rowWords, scales: at.scales, sums: at.sums },
      tunables: { COLUMNS: variant.columns, ROWS: MATVEC_ROWS, BITS: weights.bits },
      workgroups,
      work,
      label,
    });
  }
}
