import { type SparseWeights, setsFor, WINDOW } from './sparseFormat.ts';
import { cutRows, packingTiles, type SparseTile, type SparseWindow } from './sparsePack.ts';
import { requireSparseValues, sparseValues } from './sparseValues.ts';
import { finish, type Steps } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** Whether the weights can be packed in blocks: sizes from 1 on, and values that a slot can hold. */
export function canPackBlocks(matrix: WeightMatrix, blockRows: number, blockK: number): boolean {
  const isSize = (size: number) => Number.isInteger(size) && size >= 1;
  return isSize(blockRows) && isSize(blockK) && typeof sparseValues(matrix) !== 'string';
}

/**
 * Weights in blocks of blockRows x blockK, cut from the first row and term of a group on: a block of zeros is left out.
 * A tile has the rows of one block where these are 8, 16, 32 or 64; otherwise blocks of neighbouring rows share a tile,
 * or a block takes several, and a tile keeps the terms of every block that it touches.
 * @param groups of a convolution; the rows are those of all groups
 */
export function packBlocks(...call: Parameters<typeof packingBlocks>): SparseWeights {
  return finish(packingBlocks(...call));
}

export function* packingBlocks(
  matrix: WeightMatrix,
  blockRows: number,
  blockK: number,
  { groups = 1 }: { groups?: number } = {},
): Steps<SparseWeights> {
  const values = requireSparseValues(matrix);
  if (!canPackBlocks(matrix, blockRows, blockK)) {
    throw new Error(`Blocks of ${blockRows} x ${blockK} are none: sizes are whole numbers from 1 on`);
  }
  const { k } = matrix;
  const share = matrix.rows / groups;
  const sets = setsFor(Math.min(blockRows, share));
  const tiles: SparseTile[] = [];
  for (const rows of cutRows(matrix, groups, 8 * sets)) {
    const terms = termsOf(rows);
    const windows = Array.from({ length: Math.ceil(terms.length / WINDOW) }, (_, w) =>
      fullWindow(terms.slice(w * WINDOW, (w + 1) * WINDOW), rows.length),
    );
    tiles.push({ rows, windows });
    yield;
  }
  const layout = {
    sets,
    slots: WINDOW,
    indexBits: 0,
    groupSlots: 0,
    termBits: k > 65536 ? 32 : 16,
    valueBits: values.bits,
  } as const;
  return yield* packingTiles('blocks', matrix, values, { layout, tiles, groups });

  /** Terms of the blocks with a weight in them that these rows belong to. */
  function termsOf(rows: readonly number[]): number[] {
    if (rows.length === 0) return [];
    const first = rows[0]! - (rows[0]! % share);
    const firstBlock = Math.floor((rows[0]! - first) / blockRows);
    const lastBlock = Math.floor((rows.at(-1)! - first) / blockRows);
    const begin = first + firstBlock * blockRows;
    const end = first + Math.min(share, (lastBlock + 1) * blockRows);
    const kept = new Uint8Array(Math.ceil(k / blockK));
    for (let row = begin; row < end; row++) {
      for (let i = 0; i < k; i++) if (!values.isZero(row * k + i)) kept[Math.floor(i / blockK)] = 1;
    }
    return Array.from({ length: k }, (_, i) => i).filter((i) => kept[Math.floor(i / blockK)] === 1);
  }
}

function fullWindow(terms: readonly number[], rows: number): SparseWindow {
  const places = Int32Array.from({ length: rows * WINDOW }, (_, i) => (i % WINDOW < terms.length ? i % WINDOW : -1));
  return { terms, slots: places };
}
