import { measuringCodes } from './int8Weights.ts';
import type { SparseLayout } from './sparseFormat.ts';
import { finish } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** Weights of a matrix as fields of a slot. */
export interface SparseValues {
  readonly bits: SparseLayout['valueBits'];
  isZero(at: number): boolean;
  /** The low `bits` bits of the field of weight `at` = row·k + term. */
  field(at: number): number;
  /** Of a row, for codes; undefined for floats. */
  readonly scale: ((row: number) => number) | undefined;
}

/** How slots hold the weights of a matrix, or a sentence that says why they cannot. */
export function sparseValues(matrix: WeightMatrix): SparseValues | string {
  const { k, values } = matrix;
  if (values.kind === 'f32') {
    const { data } = values;
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
    return { bits: 32, isZero: (at) => data[at] === 0, field: (at) => bits[at]!, scale: undefined };
  }
  if (values.kind === 'f16') {
    const { data } = values;
    return { bits: 16, isZero: (at) => (data[at]! & 0x7fff) === 0, field: (at) => data[at]!, scale: undefined };
  }
  if (values.kind === 'table') return 'sparse weights hold floats or integer codes, not codes of a table';
  if (values.group < k) return 'sparse weights hold one scale per row, not one per group of terms';
  const { codes, zero, scale, group } = values;
  const groups = Math.ceil(k / Math.max(1, group));
  const level = zero ? (at: number) => codes[at]! - zero[Math.floor(at / k) * groups]! : (at: number) => codes[at]!;
  const { low, high } = finish(measuringCodes(matrix));
  if (low < -128 || high > 127) return `sparse weights hold codes of -128 to 127, not ${low} to ${high}`;
  const bits = values.bits <= 4 && low >= -8 && high <= 7 ? 4 : 8;
  const mask = 2 ** bits - 1;
  return {
    bits,
    isZero: (at) => level(at) === 0,
    field: (at) => level(at) & mask,
    scale: (row) => (groups === 0 ? 1 : scale[row * groups]!),
  };
}

/** As `sparseValues`, of a matrix that must fit. */
export function requireSparseValues(matrix: WeightMatrix): SparseValues {
  const values = sparseValues(matrix);
  if (typeof values === 'string') throw new Error(`The weights cannot be packed: ${values}; pack them densely`);
  return values;
}
