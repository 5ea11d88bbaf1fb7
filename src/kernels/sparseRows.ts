import type { SparseWeights } from './sparseFormat.ts';
import { packTiles } from './sparsePack.ts';
import { cutIntoTiles, termsOfRows } from './sparseRowTiles.ts';
import { requireSparseValues, sparseValues } from './sparseValues.ts';
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
  const terms = termsOfRows(matrix, values);
  const { layout, tiles } = cutIntoTiles(matrix, values, terms, groups);
  const filled = tiles.map((rows) => {
    const own = rows.map((row) => terms[row]!);
    return { rows, windows: fillWindows(own, matrix.k, layout.slots) };
  });
  return packTiles('rows', matrix, values, { layout, tiles: filled, groups });
}
