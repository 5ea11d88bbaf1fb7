import { measuringCodes } from './int8Weights.ts';
import { type SparseLayout, WINDOW } from './sparseFormat.ts';
import { checkingNM } from './sparseNM.ts';
import { cutRows } from './sparsePack.ts';
import { cuttingIntoTiles, findingTerms, usedTerms } from './sparseRowTiles.ts';
import { sparseValues } from './sparseValues.ts';
import { finish, type Steps } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** Where a layer's weights are not zero, as far as the choice of a form depends on it. */
export interface SparsityPattern {
  /** Rows of all groups, terms of each sum, groups of a convolution. */
  readonly rows: number;
  readonly k: number;
  readonly groups: number;
  /** Share of the weights that are not zero; 0 of none. */
  readonly density: number;
  /** Bits of a weight in a slot, or a sentence that says why slots cannot hold them. */
  readonly valueBits: SparseLayout['valueBits'] | string;
  /** The sparsest of 1:4, 2:8, 2:4 and 4:8 that holds. */
  readonly nm: { readonly n: number; readonly m: number } | undefined;
  /** How `packRows` will lay them out, and about how many windows it needs; absent where it cannot. */
  readonly unstructured: { readonly layout: SparseLayout; readonly windows: number } | undefined;
  /** Windows that `packBlocks` needs for blocks of so many rows and one term. */
  readonly blocks: readonly { readonly rows: number; readonly windows: number }[];
}

const PATTERNS = [
  { n: 1, m: 4 },
  { n: 2, m: 8 },
  { n: 2, m: 4 },
  { n: 4, m: 8 },
] as const;
const BLOCK_ROWS = [8, 16, 32, 64];

export function sparsityPattern(...call: Parameters<typeof findingPattern>): SparsityPattern {
  return finish(findingPattern(...call));
}

export function* findingPattern(
  matrix: WeightMatrix,
  { groups = 1 }: { groups?: number } = {},
): Steps<SparsityPattern> {
  const { rows, k } = matrix;
  const shape = { rows, k, groups };
  yield* measuringCodes(matrix);
  const values = sparseValues(matrix);
  if (typeof values === 'string') {
    return { ...shape, density: 1, valueBits: values, nm: undefined, unstructured: undefined, blocks: [] };
  }
  const terms = yield* findingTerms(matrix, values);
  const density = terms.reduce((sum, { length }) => sum + length, 0) / Math.max(1, rows * k);
  const { layout, windows } = yield* cuttingIntoTiles(matrix, values, terms, groups);
  const blocks: { rows: number; windows: number }[] = [];
  for (const height of BLOCK_ROWS.filter((height) => height === 8 || height <= rows / groups)) {
    let windows = 0;
    for (const own of cutRows(matrix, groups, height)) {
      windows += Math.ceil(usedTerms(terms, own, k) / WINDOW);
      yield;
    }
    blocks.push({ rows: height, windows });
  }
  let nm: SparsityPattern['nm'];
  for (const pattern of density > 0.5 ? [] : PATTERNS) {
    if (!nm && (yield* checkingNM(matrix, values, pattern.n, pattern.m))) nm = pattern;
  }
  return { ...shape, density, valueBits: values.bits, nm, unstructured: { layout, windows }, blocks };
}
