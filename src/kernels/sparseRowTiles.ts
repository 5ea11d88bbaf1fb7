import { chooseSparseVariant, windowCost } from './sparseDispatch.ts';
import { recordWords, type SparseLayout, setsFor, WINDOW } from './sparseFormat.ts';
import { cutRows } from './sparsePack.ts';
import type { SparseValues } from './sparseValues.ts';
import { inSteps, type Steps } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** How unstructured rows are cut into tiles and windows. */
export interface RowTiles {
  readonly layout: SparseLayout;
  /** Rows of every tile, those of about the same length together: a tile takes as many windows as its longest row. */
  readonly tiles: readonly (readonly number[])[];
  /** About the windows that they need; filling them takes far longer than to know. */
  readonly windows: number;
}

/**
 * Tall tiles load less of the input for a weight, low ones have fewer terms that only one row uses; several slots make
 * more of the terms of a window where rows are dense. The best of all combinations by the estimated time of many
 * columns on lavapipe (the words do not depend on the adapter); a quarter less memory weighs as much as 7 % of time.
 * @param terms of every row its terms with a weight
 */
export function* cuttingIntoTiles(
  matrix: WeightMatrix,
  values: SparseValues,
  terms: readonly (readonly number[])[],
  groups: number,
): Steps<RowTiles> {
  const { rows, k } = matrix;
  const byLength = (own: number[]) => own.sort((a, b) => terms[b]!.length - terms[a]!.length || a - b);
  const termBits = k > 65536 ? 32 : 16;
  let best: RowTiles | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (let sets = setsFor(rows / groups); sets >= 1; sets /= 2) {
    const tiles = cutRows(matrix, groups, 8 * sets, byLength);
    const needs: { terms: number; longest: number }[] = [];
    for (const own of tiles) {
      needs.push({
        terms: usedTerms(terms, own, k) / WINDOW,
        longest: Math.max(0, ...own.map((row) => terms[row]!.length)),
      });
      yield;
    }
    for (const slots of [1, 2, 4]) {
      const layout = { sets, slots, indexBits: 4, groupSlots: 0, termBits, valueBits: values.bits } as const;
      const windows = needs.reduce((sum, need) => sum + expectedWindows(need.terms, need.longest / slots), 0);
      const score = windows * columnCost(layout) * (1 + windows * recordWords(layout).all) ** 0.25;
      if (score < least) {
        least = score;
        best = { layout, tiles, windows };
      }
    }
  }
  return best!;
}

/** Time of a window for one column of many. */
function columnCost(layout: SparseLayout): number {
  const variant = chooseSparseVariant({ kind: 'cpu', subgroupSize: 8 }, layout, 1024);
  if (variant.kind !== 'subgroup') throw new Error('An adapter with subgroups takes the kernel with subgroups');
  return windowCost(layout, variant.columns) / variant.columns;
}

/**
 * A tile needs a window for every eight terms that it uses, and one for every weight of its longest row (by slots). Where
 * both are about as many, the greedy choice needs more than either, as the 4-norm says to within some percent on random
 * matrices.
 */
function expectedWindows(byTerms: number, byLength: number): number {
  return Math.ceil(Math.sqrt(Math.hypot(byTerms ** 2, byLength ** 2)));
}

/** Terms for which one of the rows has a weight. */
export function usedTerms(terms: readonly (readonly number[])[], rows: readonly number[], k: number): number {
  const used = new Uint8Array(k);
  let count = 0;
  for (const row of rows) {
    for (const term of terms[row]!) {
      if (used[term] === 0) count++;
      used[term] = 1;
    }
  }
  return count;
}

/** Of every row its terms with a weight, ascending. */
export function* findingTerms({ rows, k }: WeightMatrix, values: SparseValues): Steps<number[][]> {
  const termsOf = (row: number) => {
    const terms: number[] = [];
    for (let i = 0; i < k; i++) if (!values.isZero(row * k + i)) terms.push(i);
    return terms;
  };
  const found: number[][] = [];
  yield* inSteps(
    rows,
    (begin, end) => {
      for (let row = begin; row < end; row++) found.push(termsOf(row));
    },
    k,
  );
  return found;
}
