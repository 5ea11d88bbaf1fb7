import { type SparseWeights, setsFor } from './sparseFormat.ts';
import { cutRows, packTiles } from './sparsePack.ts';
import { requireSparseValues, type SparseValues, sparseValues } from './sparseValues.ts';
import { fillWindows } from './sparseWindows.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** Whether the weights can be packed unstructured: floats, or integer codes with one scale per row. */
export function canPackRows(matrix: WeightMatrix): boolean {
  return typeof sparseValues(matrix) !== 'string';
}

/**
 * Unstructured weights: only what is not zero, in windows of any eight terms.
 * @param groups of a convolution; the rows are those of all groups
 */
export function packRows(matrix: WeightMatrix, { groups = 1 }: { groups?: number } = {}): SparseWeights {
  const values = requireSparseValues(matrix);
  const { rows, k } = matrix;
  const sets = setsFor(rows / groups);
  const terms = Array.from({ length: rows }, (_, row) => termsOf(values, row, k));
  const nonzeros = terms.reduce((sum, own) => sum + own.length, 0);
  const slots = rowSlots(nonzeros / Math.max(1, rows * k));
  // Rows of about the same length share a tile: its windows are as many as its longest row needs.
  const byLength = (own: number[]) => own.sort((a, b) => terms[b]!.length - terms[a]!.length || a - b);
  const tiles = cutRows(matrix, groups, 8 * sets, byLength).map((own) => ({
    rows: own,
    windows: fillWindows(
      own.map((row) => terms[row]!),
      k,
      slots,
    ),
  }));
  const layout = {
    sets,
    slots,
    indexBits: 4,
    groupSlots: 0,
    termBits: k > 65536 ? 32 : 16,
    valueBits: values.bits,
  } as const;
  return packTiles('rows', matrix, values, { layout, tiles, groups });
}

/**
 * Slots of a row in a window: where an eighth of the weights is left, eight terms hold one for a row on average; with
 * many more, a second slot makes more of the terms that a window loads.
 */
export function rowSlots(density: number): number {
  return density > 0.22 ? 2 : 1;
}

function termsOf(values: SparseValues, row: number, k: number): number[] {
  const terms: number[] = [];
  for (let i = 0; i < k; i++) if (!values.isZero(row * k + i)) terms.push(i);
  return terms;
}
