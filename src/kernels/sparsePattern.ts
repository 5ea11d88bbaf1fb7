import { type SparseLayout, setsFor, WINDOW } from './sparseFormat.ts';
import { holdsNM } from './sparseNM.ts';
import { cutRows } from './sparsePack.ts';
import { rowSlots } from './sparseRows.ts';
import { type SparseValues, sparseValues } from './sparseValues.ts';
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
  /** About the windows that `packRows` needs; packing itself takes far longer. */
  readonly rowWindows: number;
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

export function sparsityPattern(matrix: WeightMatrix, { groups = 1 }: { groups?: number } = {}): SparsityPattern {
  const { rows, k } = matrix;
  const shape = { rows, k, groups };
  const values = sparseValues(matrix);
  if (typeof values === 'string') {
    return { ...shape, density: 1, valueBits: values, nm: undefined, rowWindows: 0, blocks: [] };
  }
  const lengths = Array.from({ length: rows }, (_, row) => lengthOf(values, row, k));
  const density = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, rows * k);
  const slots = rowSlots(density);
  const byLength = (own: number[]) => own.sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const rowWindows = cutRows(matrix, groups, 8 * setsFor(rows / groups), byLength).reduce((sum, own) => {
    const longest = Math.max(0, ...own.map((row) => lengths[row]!)) / slots;
    return sum + expectedWindows(usedTerms(values, own, k) / WINDOW, longest);
  }, 0);
  const blocks = BLOCK_ROWS.filter((height) => height < 16 || height <= rows / groups).map((height) => ({
    rows: height,
    windows: cutRows(matrix, groups, height).reduce(
      (sum, own) => sum + Math.ceil(usedTerms(values, own, k) / WINDOW),
      0,
    ),
  }));
  const nm = density > 0.5 ? undefined : PATTERNS.find(({ n, m }) => holdsNM(matrix, values, n, m));
  return { ...shape, density, valueBits: values.bits, nm, rowWindows, blocks };
}

/**
 * A tile needs a window for every eight terms that it uses, and one for every weight of its longest row (by slots). Where
 * both are about as many, the greedy choice needs more than either: a 4-norm is within 4 % of what it was measured to
 * need on random matrices of 2 to 30 % density.
 */
function expectedWindows(byTerms: number, byLength: number): number {
  return Math.ceil(Math.hypot(byTerms ** 2, byLength ** 2) ** 0.5);
}

function lengthOf(values: SparseValues, row: number, k: number): number {
  let count = 0;
  for (let at = row * k; at < (row + 1) * k; at++) if (!values.isZero(at)) count++;
  return count;
}

/** Terms for which one of the rows has a weight. */
function usedTerms(values: SparseValues, rows: readonly number[], k: number): number {
  let count = 0;
  for (let i = 0; i < k; i++) if (rows.some((row) => !values.isZero(row * k + i))) count++;
  return count;
}
