import { runsSparse } from './chooseDense.ts';
import { type Adapter, cutProduct } from './productVariant.ts';
import { chooseSparseVariant, windowCost } from './sparseDispatch.ts';
import { recordWords, type SparseLayout, setsFor, WINDOW } from './sparseFormat.ts';
import type { SparsityPattern } from './sparsePattern.ts';

/** A form, or `dense`, and why, as a sentence's end. */
export type SparseChoice = (
  | { form: 'dense' }
  | { form: 'rows' }
  | { form: 'nm'; n: number; m: number }
  | { form: 'blocks'; blockRows: number; blockK: number }
) & {
  reason: string;
  /** Estimated time of float32 through that of the form; absent where no sparse form can be had. */
  gain?: number;
  /** About what its words take; absent with `gain`. */
  bytes?: number;
};

type Candidate = { form: SparseChoice; name: string; layout: SparseLayout; tiles: number; windows: number };

/** A sparse kernel must promise so much to be taken: the estimates are within about a third of what was measured. */
export const MARGIN = 1.15;

/**
 * The form that does best for m columns (vectors of a dense layer, or pixels of all images) by its time and a little by
 * its memory, or `dense` where none beats the float32 kernel. Times on GPUs are estimates, not measurements.
 */
export function chooseSparse(adapter: Adapter, { pattern, m }: { pattern: SparsityPattern; m: number }): SparseChoice {
  const { rows, k, groups, density, valueBits } = pattern;
  if (typeof valueBits === 'string') return { form: 'dense', reason: valueBits };
  if (rows * k * m === 0) return { form: 'dense', reason: 'it has nothing to compute' };
  if (!runsSparse(adapter)) {
    return { form: 'dense', reason: 'on CPU adapters without subgroups of eight lanes sparse kernels are slower' };
  }
  if (groups > 1 && rows / groups < 4) {
    return { form: 'dense', reason: `its groups of ${rows / groups} rows leave most lanes of a tile idle` };
  }
  const percent = `${(100 * density).toFixed(density < 0.1 ? 1 : 0)} % of the weights are not zero`;
  const candidates = candidatesOf(pattern, valueBits);
  const dense = denseCost(adapter, rows / groups, k, m) * groups;
  const costs = candidates.map((candidate) => sparseCost(adapter, candidate, m));
  // As for the tiles of rows: a quarter less memory weighs as much as 7 % of time.
  const scores = candidates.map(
    ({ layout, windows }, i) => costs[i]! * (1 + windows * recordWords(layout).all) ** 0.25,
  );
  const best = scores.indexOf(Math.min(...scores));
  const gain = dense / Math.max(1, costs[best]!);
  const { form, name, layout, windows } = candidates[best]!;
  const bytes = 4 * windows * recordWords(layout).all;
  const reason = `${percent}: as ${name} it is put at ${(1 / gain).toFixed(2)} of the time of float32`;
  return { ...(gain < MARGIN ? { form: 'dense' as const } : form), reason, gain, bytes };
}

function candidatesOf(pattern: SparsityPattern, valueBits: SparseLayout['valueBits']): Candidate[] {
  const { rows, k, groups, nm, unstructured, blocks } = pattern;
  const termBits = k > 65536 ? 32 : 16;
  const sets = setsFor(rows / groups);
  const reason = '';
  const tilesOf = (height: number) => groups * Math.ceil(rows / groups / height);
  const candidates: Candidate[] = [];
  if (unstructured)
    candidates.push({
      form: { form: 'rows', reason },
      name: 'rows',
      ...unstructured,
      tiles: tilesOf(8 * unstructured.layout.sets),
    });
  if (nm) {
    const { n, m } = nm;
    const tiles = tilesOf(8 * sets);
    const [indexBits, groupSlots] = m === 4 ? [2 as const, n] : [4 as const, 0];
    candidates.push({
      form: { form: 'nm', n, m, reason },
      name: `${n}:${m}`,
      layout: { sets, slots: (n * WINDOW) / m, indexBits, groupSlots, termBits: 0, valueBits },
      tiles,
      windows: tiles * Math.ceil(k / WINDOW),
    });
  }
  for (const { rows: height, windows } of blocks) {
    candidates.push({
      form: { form: 'blocks', blockRows: height, blockK: 1, reason },
      name: `blocks of ${height} rows`,
      layout: { sets: height / 8, slots: WINDOW, indexBits: 0, groupSlots: 0, termBits, valueBits },
      tiles: tilesOf(height),
      windows,
    });
  }
  return candidates;
}

/** Both costs are in multiply-adds of a subgroup's lanes on a CPU adapter, or of a workgroup's on a GPU. */
function sparseCost(adapter: Adapter, { layout, windows, tiles }: Candidate, m: number): number {
  const variant = chooseSparseVariant(adapter, layout, m);
  if (variant.kind === 'subgroup')
    return windows * Math.ceil(m / variant.columns) * windowCost(layout, variant.columns);
  // Not measured: a slot costs a load of a weight and one of four columns for four multiply-adds, where a dense tile
  // makes sixteen of two loads. Weights are read once for every tile of columns. Sums are not split among workgroups.
  const columns = 4 * variant.across;
  const across = Math.ceil(m / columns);
  const words = (layout.sets * layout.slots * layout.valueBits) / 4 + 8;
  const idle = Math.max(1, GPU_WORKGROUPS / (tiles * across));
  return idle * windows * across * (4 * layout.sets * 8 * layout.slots * columns + GPU_LOAD * words);
}

/** Workgroups below which a GPU is not busy. */
const GPU_WORKGROUPS = 64;

/** A word of weights from memory, in multiply-adds, on a GPU. */
const GPU_LOAD = 16;

/** Of one group. As `planMatmul` cuts it; a unit of `cutProduct` is a row of a tile, four registers of columns wide. */
function denseCost(adapter: Adapter, rows: number, k: number, m: number): number {
  if (adapter.kind === 'cpu') {
    const cost = Math.min(cutProduct(adapter, rows, m).cost, cutProduct(adapter, m, rows).cost);
    return denseUnit(m) * 4 * k * cost;
  }
  return k * rows * (Math.max(4, m) + GPU_LOAD * Math.ceil(m / 64));
}

/**
 * Measured on lavapipe: 0.5 to 0.7 for convolutions, 0.6 to 1.2 for a few vectors, whose tiles read the weights across
 * rows.
 */
const denseUnit = (m: number) => (m > 32 ? 0.6 : 0.8);
