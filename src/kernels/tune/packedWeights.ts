/** Packed weights to measure with: random ones in the form that a key names, and what they stand for. */
import type { Unpacking } from '../convCall.ts';
import { type DenseWeights, packDense } from '../denseWeights.ts';
import { numberToFloat16 } from '../float16.ts';
import { type Int8Shape, type Int8Weights, packInt8 } from '../int8Weights.ts';
import { groupsPerRow, type WeightMatrix, weightsOf } from '../weightMatrix.ts';
import { seededValues } from './values.ts';

const SEEDS = { codes: 11, scales: 12, table: 13 };
/** Terms that share a scale. How many these are does not matter: a scale is looked up for every four or eight. */
const GROUP = 32;
const SHORTEST_GROUP = 8;

export interface RandomWeights<W> {
  /** As the kernels take them, but for their words. */
  packed(): W;
  /** The weights that they decode to. */
  values(): Float32Array;
}

/** What a key says of packed weights (`w4`, `q1`, `t1`), for rows of k terms; undefined where it says that they are floats. */
export function unpackingAt({ w, q, t }: Record<string, number>, k: number): Unpacking | undefined {
  const group = q !== 1 ? k : k > GROUP ? GROUP : SHORTEST_GROUP;
  return w === undefined ? undefined : { bits: w, table: t === 1, group, k };
}

/** Made when asked for: a subject that is never measured needs none. */
export function randomDense(rows: number, unpacking: Unpacking): RandomWeights<DenseWeights> {
  return madeOnce(() => matrixOf(rows, unpacking), packDense);
}

/** Of signed codes, 8 bits or 4. */
export function randomInt8(rows: number, k: number, bits: number, shape: Int8Shape): RandomWeights<Int8Weights> {
  return madeOnce(
    () => matrixOf(rows, { bits, table: false, group: k, k }),
    (matrix) => packInt8(matrix, shape),
  );
}

function madeOnce<W>(make: () => WeightMatrix, pack: (matrix: WeightMatrix) => W): RandomWeights<W> {
  let matrix: WeightMatrix | undefined;
  let packed: W | undefined;
  let values: Float32Array | undefined;
  const known = () => {
    matrix ??= make();
    return matrix;
  };
  return {
    packed() {
      packed ??= pack(known());
      return packed;
    },
    values() {
      values ??= weightsOf(known());
      return values;
    },
  };
}

function matrixOf(rows: number, { bits, table, group, k }: Unpacking): WeightMatrix {
  const uniform = seededValues(SEEDS.codes, rows * k);
  if (bits === 16) return { rows, k, values: { kind: 'f16', data: Uint16Array.from(uniform, numberToFloat16) } };
  const middle = 2 ** (bits - 1);
  const codes = Int16Array.from(uniform, (value) => Math.floor(middle * value) + (table ? middle : 0));
  const scales = rows * groupsPerRow({ rows, k } as WeightMatrix, group);
  const scale = seededValues(SEEDS.scales, scales).map((value) => (1 + 0.5 * value) / middle);
  const shared = { bits, codes, scale, halfScale: false, group };
  if (table) return { rows, k, values: { kind: 'table', table: seededValues(SEEDS.table, 2 ** bits), ...shared } };
  return { rows, k, values: { kind: 'int', ...shared } };
}
