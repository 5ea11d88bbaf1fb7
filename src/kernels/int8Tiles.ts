import { int8ConvTiledShader } from './generated/int8.ts';
import { withDot } from './int8Dot.ts';
import { type Int8Output, type OutputShape, outputOf } from './int8Output.ts';
import type { StoredCodes } from './int8Planes.ts';
import type { Int8Processor } from './int8Processor.ts';
import type { Int8Weights } from './int8Weights.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import { type Adapter, cutProduct, subgroupTunables, type TileCount } from './productVariant.ts';

/** A product of packed int8 weights and words of x, group by group, over distances in words. */
export interface Int8Tiles extends Int8Output {
  x: StoredCodes & { operand: Operand<'u32'> };
  weights: PackedOperand<Int8Weights>;
  shape: OutputShape;
  /** Taps of a kernel row. */
  kw: number;
  /** As measured; by the rule without it. */
  cut?: TileCount | undefined;
  /** Distances in x of one word of channels, kernel row, kernel column, image, output row, output column. */
  xAt: { offset: number; word: number; ky: number; kx: number; image: number; oy: number; ox: number };
}

/** What there are kernels for: those of a processor have to be there. */
export function int8Adapter({ capabilities }: Recorder, processor: Int8Processor | undefined): Adapter {
  return processor ? capabilities : { kind: 'gpu', tuned: capabilities.tuned };
}

/**
 * Whether neighbouring pixels share the words of x that a kernel row takes: three taps side by side, and rows of whole
 * fours, so that no lane's four pixels lie in two rows.
 */
export function sharesWords({ kw, ow, kx, ox }: { kw: number; ow: number; kx: number; ox: number }): boolean {
  return kw === 3 && kx === 1 && ox === 1 && ow % 4 === 0;
}

/**
 * Whether sums are kept as floats, which a CPU adapter of four lanes (SSE) multiplies faster than integers. Floats are
 * exact up to 2^24; a stored code of x is at most 128.
 */
export function sumsAsFloats(subgroup: number, reach: number): boolean {
  return subgroup <= 4 && 128 * reach <= 2 ** 24;
}

/** out = clamp((sum − zero point's share)·x.scale·scale[row] + bias + residual) in tiles (see `cutProduct`). */
export function int8Tiles(recorder: Recorder, call: Int8Tiles): void {
  const { x, weights, shape, kw, xAt } = call;
  const label = call.label ?? 'int8 product';
  const { groups, taps } = weights;
  const m = weights.rows / groups;
  const n = shape.n * shape.h * shape.w;
  const { processor } = call;
  const { variant, tilesM, tilesN } = call.cut ?? cutProduct(int8Adapter(recorder, processor), m, n);
  const channelWords = Math.ceil(weights.k / taps / 4);
  const output = outputOf(recorder, shape, { ...call, label });
  const shared = {
    operands: { x: x.operand, weights: weights.operand, ...output.operands },
    args: {
      m,
      n,
      words: taps * channelWords,
      channel_words: channelWords,
      kw,
      x_offset: xAt.offset,
      x_channel: xAt.word,
      x_ky: xAt.ky,
      x_kx: xAt.kx,
      x_image: xAt.image,
      x_group: channelWords * xAt.word,
      x_oy: xAt.oy,
      x_ox: xAt.ox,
      ow: shape.w,
      ohw: shape.h * shape.w,
      w_row: weights.rowStride,
      w_group: weights.groupWords,
      scales: weights.at.scales,
      sums: weights.at.sums,
      zero: 0 - x.shift,
      x_scale: x.scale,
      ...output.args,
      tiles_m: tilesM,
      group_workgroups: tilesM * tilesN,
      groups,
    },
    workgroups: grid(tilesM * tilesN * groups, 1),
    work: { ops: 2 * weights.rows * weights.k * n },
    label,
  };
  if (processor && variant.kind === 'subgroup') {
    const TAPS = sharesWords({ kw, ow: shape.w, kx: xAt.kx, ox: xAt.ox }) ? 3 : 1;
    const V = sumsAsFloats(variant.subgroup, weights.reach) ? 'vec4f' : 'vec4i';
    const tunables = { ...subgroupTunables(variant), TAPS, V, BITS: weights.bits };
    recorder.dispatch(processor.tiles, { ...shared, tunables });
  } else if (variant.kind === 'tiled') {
    recorder.dispatch(withDot(int8ConvTiledShader, recorder.capabilities), {
      ...shared,
      tunables: { TM: variant.tm, TN: variant.tn, BITS: weights.bits },
    });
  }
}
