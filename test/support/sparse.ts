import { float32ToFloat16 } from '../../src/kernels/float16.ts';
import { packBlocks } from '../../src/kernels/sparseBlocks.ts';
import type { SparseWeights } from '../../src/kernels/sparseFormat.ts';
import { packNM } from '../../src/kernels/sparseNM.ts';
import { packRows } from '../../src/kernels/sparseRows.ts';
import type { WeightMatrix, WeightValues } from '../../src/kernels/weightMatrix.ts';
import { random } from './numbers.ts';

export type Mask = (row: number, term: number) => boolean;

/** Weights are where the mask is: floats of [-1, 1), or nonzero codes of all values with a scale per row. */
export function maskedMatrix(
  rows: number,
  k: number,
  mask: Mask,
  kind: 'f32' | 'f16' | 'int8' | 'int4' | 'uint4' = 'f32',
): WeightMatrix {
  const next = random(rows * 31 + k);
  const kept = Array.from({ length: rows * k }, (_, at) => mask(Math.floor(at / k), at % k));
  const floats = Float32Array.from(kept, (keep) => (keep ? next(-1, 1) : 0));
  let values: WeightValues;
  if (kind === 'f32') values = { kind: 'f32', data: floats };
  else if (kind === 'f16') values = { kind: 'f16', data: float32ToFloat16(floats) };
  else {
    const [low, high] = kind === 'int8' ? [-128, 127] : [-8, 7];
    const level = () => Math.floor(next(low, high + 1)) || high;
    const codes = Int16Array.from(kept, (keep) => (keep ? level() : 0));
    const scale = Float32Array.from({ length: rows }, () => next(0.01, 0.02));
    const shared = { kind: 'int' as const, bits: kind === 'int8' ? 8 : 4, scale, halfScale: false, group: k };
    values =
      kind === 'uint4'
        ? { ...shared, codes: codes.map((code) => code + 8), zero: new Int32Array(rows).fill(8) }
        : { ...shared, codes };
  }
  return { rows, k, values };
}

export const unstructured = (seed: number, density: number): Mask => {
  const next = random(seed);
  return () => next() < density;
};

/** n of every m terms, others in every row and group. */
export const nOfM = (n: number, m: number): Mask => {
  return (row, term) => (term + 3 * row + Math.floor(term / m)) % m < n;
};

export const blocksOf = (seed: number, density: number, rows: number, k: number): Mask => {
  const next = random(seed);
  const kept = new Map<string, boolean>();
  return (row, term) => {
    const block = `${Math.floor(row / rows)},${Math.floor(term / k)}`;
    if (!kept.has(block)) kept.set(block, next() < density);
    return kept.get(block)!;
  };
};

export type Packing = 'rows' | { n: number; m: number } | { blockRows: number; blockK: number };

export function pack(matrix: WeightMatrix, packing: Packing, groups = 1): SparseWeights {
  if (packing === 'rows') return packRows(matrix, { groups });
  if ('n' in packing) return packNM(matrix, packing.n, packing.m, { groups });
  return packBlocks(matrix, packing.blockRows, packing.blockK, { groups });
}
