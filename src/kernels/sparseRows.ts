import type { SparseWeights } from './sparseFormat.ts';
import { packingTiles, type SparseTile } from './sparsePack.ts';
import { cuttingIntoTiles, findingTerms } from './sparseRowTiles.ts';
import { requireSparseValues, sparseValues } from './sparseValues.ts';
import { fillWindows } from './sparseWindows.ts';
import { finish, type Steps } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** Whether the weights can be packed unstructured: floats, or integer codes with one scale per row. */
export function canPackRows(matrix: WeightMatrix): boolean {
  return typeof sparseValues(matrix) !== 'string';
}

/**
 * Unstructured weights: only what is not zero, in windows of any eight terms.
 * @param groups of a convolution; the rows are those of all groups
 */
export function packRows(...call: Parameters<typeof packingRows>): SparseWeights {
  return finish(packingRows(...call));
}

export function* packingRows(matrix: WeightMatrix, { groups = 1 }: { groups?: number } = {}): Steps<SparseWeights> {
  const values = requireSparseValues(matrix);
  const terms = yield* findingTerms(matrix, values);
  const { layout, tiles } = yield* cuttingIntoTiles(matrix, values, terms, groups);
  const filled: SparseTile[] = [];
  for (const rows of tiles) {
    const own = rows.map((row) => terms[row]!);
    filled.push({ rows, windows: fillWindows(own, matrix.k, layout.slots) });
    yield;
  }
  return yield* packingTiles('rows', matrix, values, { layout, tiles: filled, groups });
}
