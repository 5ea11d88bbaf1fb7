import { float16ToNumber } from './float16.ts';

/**
 * A layer's weights on the host before a kernel's packer lays them out: `rows` output channels (of all groups), each the
 * weights of the `k` terms of its sum; element (row, k) is at row·k + k. For a convolution k runs over (input channel of
 * the group, kernel row, kernel column), as in ONNX's [oc, ic / groups, kh, kw].
 */
export interface WeightMatrix {
  readonly rows: number;
  readonly k: number;
  readonly values: WeightValues;
}

/**
 * - `f32`: the weights themselves; `f16`: their binary16 bits.
 * - `int`: weight = scale·(code − zero), codes of `bits` (1..8) bits: signed without `zero` (two's complement range),
 *   unsigned 0..2^bits − 1 with it.
 * - `table`: weight = scale·table[code], code in 0..2^bits − 1 (NF4's table, or a trained codebook).
 */
export type WeightValues =
  | { readonly kind: 'f32'; readonly data: Float32Array }
  | { readonly kind: 'f16'; readonly data: Uint16Array }
  | ({ readonly kind: 'int'; readonly zero?: Int32Array } & Codes)
  | ({ readonly kind: 'table'; readonly table: Float32Array } & Codes);

interface Codes {
  readonly bits: number;
  readonly codes: Int16Array;
  /** One for each `group` consecutive terms of a row (the last group of a row may be shorter), row by row. */
  readonly scale: Float32Array;
  /** Whether every scale is a binary16 value, so that it may be kept as one. */
  readonly halfScale: boolean;
  /** Terms that share a scale; `k` where a row has one. */
  readonly group: number;
}

/** Scales of a row. */
export function groupsPerRow({ k }: WeightMatrix, group: number): number {
  return Math.ceil(k / Math.max(1, group));
}

/** The weights as numbers, row-major: what every packed kernel is measured against. */
export function weightsOf(matrix: WeightMatrix): Float32Array {
  const { rows, k, values } = matrix;
  if (values.kind === 'f32') return values.data;
  const out = new Float32Array(rows * k);
  if (values.kind === 'f16') {
    for (let i = 0; i < out.length; i++) out[i] = float16ToNumber(values.data[i]!);
    return out;
  }
  const groups = groupsPerRow(matrix, values.group);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < k; i++) {
      const at = row * k + i;
      const group = row * groups + Math.floor(i / values.group);
      const code = values.codes[at]!;
      const level = values.kind === 'table' ? values.table[code]! : code - (values.zero ? values.zero[group]! : 0);
      out[at] = values.scale[group]! * level;
    }
  }
  return out;
}
