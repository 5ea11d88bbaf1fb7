import { WINDOW } from './sparseFormat.ts';
import type { SparseWindow } from './sparsePack.ts';

/** Columns looked at for each place of a window: all would fill it a little better and take as much longer. */
const CANDIDATES = 256;

/**
 * Windows for the nonzeros of a tile (at most 64 rows) that are as full as a greedy choice makes them: column after
 * column joins a window, always one that brings many weights to rows with a slot left, and leaves few behind that found
 * none (they wait for a later window). Leaving one behind counts for one and a half weights brought; on random matrices
 * that makes a tenth fewer windows than not counting it.
 * @param terms of every row its terms with a weight, ascending
 * @param k number of terms
 */
export function fillWindows(terms: readonly (readonly number[])[], k: number, slots: number): SparseWindow[] {
  const { low, high, counts } = columnsOf(terms, k);
  const waiting = byCount(counts);
  const windows: SparseWindow[] = [];
  while (waiting.length > 0) {
    const chosen: number[] = [];
    const places = new Int32Array(terms.length * slots).fill(-1);
    const used = new Uint8Array(terms.length);
    let freeLow = -1;
    let freeHigh = -1;
    while (chosen.length < WINDOW) {
      const at = pickColumn(waiting, low, high, counts, freeLow, freeHigh);
      if (at < 0) break;
      const column = waiting[at]!;
      const takenLow = low[column]! & freeLow;
      const takenHigh = high[column]! & freeHigh;
      low[column]! &= ~takenLow;
      high[column]! &= ~takenHigh;
      for (const [taken, first] of [
        [takenLow, 0],
        [takenHigh, 32],
      ] as const) {
        for (let bits = taken; bits !== 0; bits &= bits - 1) {
          const row = first + 31 - Math.clz32(bits & -bits);
          places[row * slots + used[row]!] = chosen.length;
          used[row]!++;
          counts[column]!--;
          if (used[row] === slots) {
            if (first === 0) freeLow &= ~(1 << row);
            else freeHigh &= ~(1 << (row - 32));
          }
        }
      }
      chosen.push(column);
      if (counts[column] === 0) waiting.splice(at, 1);
    }
    windows.push({ terms: chosen, slots: places });
  }
  return windows;
}

/** The rows that have a weight at each term, as bits, and how many they are. */
function columnsOf(terms: readonly (readonly number[])[], k: number) {
  const low = new Int32Array(k);
  const high = new Int32Array(k);
  const counts = new Uint8Array(k);
  terms.forEach((own, row) => {
    const half = row < 32 ? low : high;
    for (const term of own) {
      half[term]! |= 1 << (row & 31);
      counts[term]!++;
    }
  });
  return { low, high, counts };
}

/** Columns with a weight, fullest first. */
function byCount(counts: Uint8Array): number[] {
  const columns: number[] = [];
  for (let column = 0; column < counts.length; column++) if (counts[column]! > 0) columns.push(column);
  return columns.sort((a, b) => counts[b]! - counts[a]! || a - b);
}

function pickColumn(
  waiting: readonly number[],
  low: Int32Array,
  high: Int32Array,
  counts: Uint8Array,
  freeLow: number,
  freeHigh: number,
): number {
  let best = Number.NEGATIVE_INFINITY;
  let at = -1;
  const end = Math.min(waiting.length, CANDIDATES);
  for (let i = 0; i < end; i++) {
    const column = waiting[i]!;
    const brought = ones(low[column]! & freeLow) + ones(high[column]! & freeHigh);
    // Twice what is brought less three times what is left behind.
    const score = 5 * brought - 3 * counts[column]!;
    if (brought > 0 && score > best) {
      best = score;
      at = i;
    }
  }
  return at;
}

function ones(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
