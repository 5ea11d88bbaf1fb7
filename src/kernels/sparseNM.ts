import { type SparseWeights, setsFor, WINDOW } from './sparseFormat.ts';
import { cutRows, packingTiles, type SparseTile, type SparseWindow } from './sparsePack.ts';
import { requireSparseValues, type SparseValues, sparseValues } from './sparseValues.ts';
import { finish, inSteps, type Steps } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** Whether at most n of every m consecutive weights of a row are not zero (the last few may be less than m). */
export function* checkingNM(matrix: WeightMatrix, values: SparseValues, n: number, m: number): Steps<boolean> {
  const { rows, k } = matrix;
  const rowHolds = (row: number) => {
    for (let first = 0; first < k; first += m) {
      let count = 0;
      for (let i = first; i < Math.min(first + m, k); i++) if (!values.isZero(row * k + i)) count++;
      if (count > n) return false;
    }
    return true;
  };
  let holds = true;
  yield* inSteps(
    rows,
    (begin, end) => {
      for (let row = begin; row < end && holds; row++) holds = rowHolds(row);
    },
    k,
  );
  return holds;
}

/** Whether the weights can be packed as n:m: m is 4 or 8, the pattern holds, and a slot can hold the values. */
export function canPackNM(matrix: WeightMatrix, n: number, m: number): boolean {
  if ((m !== 4 && m !== 8) || !Number.isInteger(n) || n < 1 || n > m) return false;
  const values = sparseValues(matrix);
  return typeof values !== 'string' && finish(checkingNM(matrix, values, n, m));
}

/**
 * Weights of which at most n in every m consecutive terms are not zero: n slots for every m terms, with indices of two
 * bits for m = 4 and of four for m = 8.
 * @param groups of a convolution; the rows are those of all groups
 */
export function packNM(...call: Parameters<typeof packingNM>): SparseWeights {
  return finish(packingNM(...call));
}

export function* packingNM(
  matrix: WeightMatrix,
  n: number,
  m: number,
  { groups = 1 }: { groups?: number } = {},
): Steps<SparseWeights> {
  const values = requireSparseValues(matrix);
  if (!canPackNM(matrix, n, m)) throw new Error(`The weights are not ${n}:${m} sparse (m 4 or 8); pack them as rows`);
  const { k } = matrix;
  const sets = setsFor(matrix.rows / groups);
  const slots = (n * WINDOW) / m;
  const tiles: SparseTile[] = [];
  for (const rows of cutRows(matrix, groups, 8 * sets)) {
    tiles.push({
      rows,
      windows: Array.from({ length: Math.ceil(k / WINDOW) }, (_, w) => cutWindow(rows, w * WINDOW)),
    });
    yield;
  }
  const layout = {
    sets,
    slots,
    indexBits: m === 4 ? 2 : 4,
    groupSlots: m === 4 ? n : 0,
    termBits: 0,
    valueBits: values.bits,
  } as const;
  return yield* packingTiles('nm', matrix, values, { layout, tiles, groups });

  function cutWindow(rows: readonly number[], first: number): SparseWindow {
    const places = new Int32Array(rows.length * slots).fill(-1);
    rows.forEach((row, r) => {
      for (let group = 0; group < WINDOW; group += m) {
        let slot = r * slots + (group / m) * n;
        for (let i = group; i < group + m && first + i < k; i++) {
          if (!values.isZero(row * k + first + i)) places[slot++] = i;
        }
      }
    });
    return { terms: [], slots: places };
  }
}
