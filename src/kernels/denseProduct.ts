import type { ConvAlternatives, ConvPlan, Unpacking } from './convCall.ts';
import { bindWeights, type DenseWeights, FEW_COLUMNS } from './denseWeights.ts';
import { matvecShader, matvecSubgroupShader } from './generated/matmul.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import type { Adapter } from './productVariant.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';
import { plannedConv } from './validConv.ts';

export interface DenseProductCall {
  /** [rows, k] */
  weights: PackedOperand<DenseWeights>;
  /** [m, k] */
  x: Operand<'f32'>;
  /** [rows] */
  bias?: Operand<'f32'> | undefined;
  /** [m, rows], added before the bounds. */
  residual?: Operand<'f32'> | undefined;
  /** [m, rows] */
  out: Operand<'f32'>;
  m: number;
  lo?: number | undefined;
  hi?: number | undefined;
  /** As `ValidConv.alternatives`. */
  alternatives?: ConvAlternatives | undefined;
  label?: string;
}

export type DenseProductVariant =
  | { kind: 'matvec-subgroup'; subgroup: number; rows: 1 | 2 | 4; vectors: 1 | 2 | 4 }
  /** Workgroups of 256 invocations, of so many rows: 32 without a word. */
  | { kind: 'matvec'; vectors: 1 | 2 | 4; rows?: 16 | 64 }
  /** Without a plan, by the rule for convolutions. */
  | { kind: 'matmul'; plan?: ConvPlan };

export interface DenseProductShape {
  rows: number;
  m: number;
  weights: Unpacking;
  /** Whether half precision will do. */
  half?: boolean;
}

/** How m vectors are multiplied by packed weights. */
export function chooseDenseProduct(adapter: Adapter, shape: DenseProductShape): DenseProductVariant {
  const tuned = adapter.tuned?.choose<DenseProductVariant>('dense', adapter, shape);
  if (tuned) return tuned;
  const { rows, m, weights } = shape;
  const { kind, subgroupSize: subgroup = 0 } = adapter;
  const vectors = (m > 2 ? 4 : m) as 1 | 2 | 4;
  if (kind !== 'cpu' || subgroup < 4 || subgroup > 64) {
    return m > FEW_COLUMNS ? { kind: 'matmul' } : { kind: 'matvec', vectors };
  }
  const passes = Math.ceil(m / 4);
  if (passes > passesOfTile(subgroup, weights) * Math.ceil(m / (4 * subgroup))) return { kind: 'matmul' };
  // Rows of a lane share its loads of vectors. Four rows' lookups in a table take 1.3 times as long as twice two's on lavapipe.
  const four = rows > 2 * subgroup && (subgroup < 8 || !weights.table);
  return { kind: 'matvec-subgroup', subgroup, rows: four ? 4 : rows > subgroup ? 2 : 1, vectors };
}

/**
 * What a tile, 16 vectors wide on SwiftShader (subgroups of 4) and 32 on lavapipe, takes in place of: so many passes over the
 * weights for four vectors each, which unpack them every time. Measured for 128 to 1024 rows of 784 to 1024 terms, multiples of four
 * and odd ones.
 */
function passesOfTile(subgroup: number, { bits, table, k }: Unpacking): number {
  if (subgroup < 8) return 1.2;
  const unpacked = table ? 2.6 : bits >= 8 ? 5.7 : 7.2;
  // A tile reads vectors number by number then.
  return k % 4 > 0 ? 1.2 * unpacked : unpacked;
}

/** out = clamp(x·Wᵀ + bias + residual), weights unpacked in registers. */
export function denseProduct(recorder: Recorder, call: DenseProductCall): void {
  const { x, bias, residual, out, m, lo = LOWEST, hi = HIGHEST, label = 'dense' } = call;
  const { capabilities } = recorder;
  const { rows, k } = call.weights;
  if (m * rows === 0) return;
  const half = capabilities.precision === 'f16';
  const variant = chooseDenseProduct(capabilities, { rows, m, half, weights: call.weights });
  if (variant.kind === 'matmul' || k === 0) {
    // A product is a convolution over images of one pixel whose channels are the terms.
    const product = {
      ...{ x, weights: call.weights, bias, residual, out, images: m, groups: 1, groupOut: rows, groupIn: k },
      ...{ kh: 1, kw: 1, oh: 1, ow: 1 },
      xAt: { offset: 0, image: k, channel: 1, ky: 0, kx: 0, oy: 0, ox: 0 },
      outAt: { offset: 0, image: rows, channel: 1, oy: 0, ox: 0 },
      ...{ lo, hi, alternatives: call.alternatives, label },
    };
    plannedConv(recorder, product, variant.kind === 'matmul' ? variant.plan : undefined);
    return;
  }
  const weights = bindWeights(call.weights, { rows, k });
  const perTile = variant.kind === 'matvec' ? (variant.rows ?? 32) : variant.rows * variant.subgroup;
  const tiles = Math.ceil(rows / perTile);
  const { w_rows, ...places } = weights.args;
  const shared = {
    operands: { x, weights: weights.operand, bias: bias ?? x, residual: residual ?? x, out },
    args: { rows: w_rows, k, m, tiles, ...places, bias: bias ? 1 : 0, lo, hi },
    workgroups: grid(tiles * Math.ceil(m / variant.vectors), 1),
    work: { flops: 2 * m * rows * k },
    label,
  };
  const tunables = { ...weights.tunables, RESIDUAL: residual !== undefined, VECTORS: variant.vectors };
  if (variant.kind === 'matvec') {
    recorder.dispatch(matvecShader, { ...shared, tunables: { ...tunables, ROWS: perTile, SLICES: 256 / perTile } });
  } else {
    recorder.dispatch(matvecSubgroupShader, {
      ...shared,
      tunables: { ...tunables, SUBGROUP: variant.subgroup, ROWS: variant.rows },
    });
  }
}
