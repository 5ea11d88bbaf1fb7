import { numel } from '../graph/tensor.ts';
import type { DType } from '../graph/types.ts';
import { packedBytes } from './bits.ts';

export type Layout = 'dense' | 'bitmap' | 'gap';

/**
 * What the writer is asked to store a float32 initializer as. `int`: value = fl32(scale·(q − zeroPoint)), q of `bits`
 * (1..8) bits: signed (two's complement) without zero points, unsigned with them. One scale for the tensor, one per
 * index of `axis`, or one per `groupSize` consecutive elements of the last dimension (the last group of a row may be
 * shorter; groups in row-major order). `table`: value = fl32(scale·table[q]), q an index into the 2^bits entries of a
 * table. `layout` forces a layout; by default the smallest is taken.
 */
export type WeightEncoding =
  | { kind: 'f32'; layout?: Layout }
  | { kind: 'f16'; layout?: Layout }
  | {
      kind: 'int';
      bits: number;
      scale: Float32Array;
      zeroPoint?: Int32Array;
      axis?: number;
      groupSize?: number;
      layout?: Layout;
    }
  | ({
      kind: 'table';
      bits: number;
      /** 2^bits finite values. */
      table: Float32Array;
      scale: Float32Array;
      layout?: Layout;
    } & ScaleGrouping);

/** `raw` and `inline` are for initializers that are not float32: as they are, in the payload or in the JSON. */
export type EncodingKind = 'raw' | 'inline' | 'f32' | 'f16' | 'int' | 'table';

/** A tensor as the file holds it; `index` and `values` are byte views (unaligned) that kernels may upload as they are. */
export interface EncodedTensor {
  /** Of the initializer; '' for a tensor that is an attribute. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Of the decoded tensor. */
  readonly dtype: DType;
  readonly kind: EncodingKind;
  readonly layout: Layout;
  /** Bits of one stored value. */
  readonly bits: number;
  /** Number of values in `values`: all elements when dense, else those that are not zero. */
  readonly stored: number;
  /** Gap layout: bits of a symbol, number of symbols; else 0. */
  readonly gapBits: number;
  readonly gapSymbols: number;
  /** table only: 2^bits values. */
  readonly table?: Float32Array;
  /** int and table. */
  readonly scale?: Float32Array;
  readonly zeroPoint?: Int32Array;
  readonly axis?: number;
  readonly groupSize?: number;
  /** Bitmap or gap stream; empty when dense. */
  readonly index: Uint8Array;
  /** Stored values in order of position: packed codes, binary16, float32 or raw elements, little endian. */
  readonly values: Uint8Array;
  /** Bytes in the payload (table, scales, zero points, index, values). */
  readonly bytes: number;
}

/** Granularity of scales: at most one of the two. */
export interface ScaleGrouping {
  readonly axis?: number;
  readonly groupSize?: number;
}

/** How many scales a tensor of this shape has. */
export function scaleCount(shape: readonly number[], { axis, groupSize }: ScaleGrouping): number {
  if (axis !== undefined) return shape[axis]!;
  if (groupSize === undefined) return 1;
  const last = shape.at(-1) ?? 1;
  return last === 0 ? 0 : (numel(shape) / last) * Math.ceil(last / groupSize);
}

/** Function from a flat element index to the index of its scale. */
export function scaleIndexer(shape: readonly number[], { axis, groupSize }: ScaleGrouping): (i: number) => number {
  if (axis !== undefined) {
    const inner = numel(shape.slice(axis + 1));
    const channels = shape[axis]!;
    return (i) => Math.floor(i / inner) % channels;
  }
  if (groupSize === undefined) return () => 0;
  const last = shape.at(-1) ?? 1;
  const groups = Math.ceil(last / groupSize);
  return (i) => Math.floor(i / last) * groups + Math.floor((i % last) / groupSize);
}

/** Bytes of index and values together. */
export function streamBytes(layout: Layout, count: number, stored: number, bits: number, gapBits = 0, symbols = 0) {
  if (layout === 'dense') return packedBytes(count, bits);
  return packedBytes(stored, bits) + (layout === 'bitmap' ? packedBytes(count, 1) : packedBytes(symbols, gapBits));
}
