import type { DenseWeights } from './denseWeights.ts';
import type { Int8Weights } from './int8Weights.ts';

/**
 * How the words of a form hold the terms of a matrix' rows: what `expandRows` needs to make them from a stream of terms.
 * Distances are in words. A row's words have `slots` fields, a tap `tapSlots` of them, and the first `tapTerms` of these
 * have a term each; all others are zero.
 */
export interface RowLayout {
  /** Bits of a field. */
  readonly width: number;
  /** Of nibbles: a word's low halves come before its high ones. */
  readonly paired: boolean;
  /** Four rows share the words: byte j is that of row 4·row + j, and what is called a row here is all four. */
  readonly quads: boolean;
  readonly rows: number;
  readonly paddedRows: number;
  readonly groupRows: number;
  readonly groupStride: number;
  readonly rowStride: number;
  readonly wordStride: number;
  /** Words of a row. */
  readonly words: number;
  readonly slots: number;
  readonly tapSlots: number;
  readonly tapTerms: number;
  /** Element (row·k + term) of the matrix in a slot that has a term; −1 where there is none, but its field is stored. */
  element(row: number, slot: number): number;
}

/** Undefined for codes that are cut into several planes. */
export function denseRowLayout({ rows, k, bits }: Omit<DenseWeights, 'words'>): RowLayout | undefined {
  if (![1, 2, 4, 8, 16, 32].includes(bits)) return undefined;
  const perWord = 32 / bits;
  const words = Math.ceil(k / perWord);
  const slots = words * perWord;
  return {
    ...{
      width: bits,
      paired: false,
      quads: false,
      rows,
      paddedRows: rows,
      groupRows: Math.max(1, rows),
      groupStride: 0,
    },
    ...(bits === 32 ? { rowStride: k, wordStride: 1 } : { rowStride: 1, wordStride: rows }),
    ...{ words, slots, tapSlots: Math.max(1, slots), tapTerms: k },
    element: (row, slot) => row * k + slot,
  };
}

export function int8RowLayout(weights: Omit<Int8Weights, 'words'>): RowLayout {
  const { order, bits, rows, k, groups, taps, rowStride, groupWords } = weights;
  if (order === 'channels') {
    const quads = Math.ceil(rows / 4);
    return {
      ...{ width: 8, paired: false, quads: true, rows: quads, paddedRows: quads, groupRows: quads, groupStride: 0 },
      ...{ rowStride: taps, wordStride: 1, words: taps, slots: 4 * taps, tapSlots: 4, tapTerms: 4 },
      element: (quad, slot) => {
        const row = 4 * quad + (slot & 3);
        return row < rows ? row * k + (slot >> 2) : -1;
      },
    };
  }
  const groupIn = k / taps;
  const tapSlots = 4 * Math.ceil(groupIn / 4);
  return {
    ...{ width: bits, paired: bits === 4, quads: false, rows, paddedRows: groups * rowStride },
    ...{ groupRows: rowStride, groupStride: groupWords, rowStride: 1, wordStride: rowStride },
    ...{ words: groupWords / rowStride, slots: taps * tapSlots, tapSlots, tapTerms: groupIn },
    element: (row, slot) => {
      const tap = Math.floor(slot / tapSlots);
      return row * k + (slot - tap * tapSlots) * taps + tap;
    },
  };
}
