/**
 * Sparse weights as `sparseProduct` and `sparseConv` read them: one buffer of 32-bit words that holds everything.
 *
 * Rows are cut into tiles of 8·sets rows, and what a tile keeps into windows of eight terms of the sum. In a window every
 * row of the tile has the same number of slots, each a weight and which of the window's eight terms it belongs to; a row
 * with fewer weights there leaves slots at zero, which are skipped. So all invocations do the same work, in lockstep,
 * and what a row needs of the input is always one of eight values that its neighbours need too. The three forms differ
 * in how windows are found:
 *
 * - `rows`, unstructured: any eight terms, chosen so that slots come out full. Compressed rows whose neighbours are
 *   padded to one length, as SELL-C-σ (Kreutzer et al. 2014, "A unified sparse matrix data format"), with rows sorted by
 *   length; that the terms of a slot come from a shared window is column combining (Kung et al. 2019, "Packing sparse
 *   convolutional neural networks").
 * - `nm`: the terms in their order, eight at a time; 8·n/m slots with indices of two bits (m = 4).
 * - `blocks`: the terms of the blocks that a tile has, all eight of a window for every row: no index at all.
 *
 * The words: for every tile its first window, and the number of windows at the end (`tiles` + 1); at `order` for every
 * row of every tile its number, beyond all rows where a group's last tile has none; at `scales`, of integer codes, its
 * scale as f32; at `records` a record for every window: its list of terms (eight of `termBits`, absent where it is 0), then
 * for each of the eight rows of a set its words: indices, then weights, fields of `indexBits` and `valueBits` for slot
 * j = set·slots + slot, both packed from the low bits up into words of their own. `rowWord` says where they lie.
 */
export interface SparseWeights {
  readonly form: 'rows' | 'nm' | 'blocks';
  readonly words: Uint32Array<ArrayBuffer>;
  /** Rows of all groups, and terms of the sum of each. */
  readonly rows: number;
  readonly k: number;
  /** Groups of a convolution: a tile's rows belong to one of them. */
  readonly groups: number;
  readonly layout: SparseLayout;
  /** Tiles of all groups. */
  readonly tiles: number;
  /** Windows of all tiles. */
  readonly windows: number;
  /** Weights that are not zero. */
  readonly nonzeros: number;
  /** Where these parts begin, in words; `scales` is 0 where the weights are floats. */
  readonly order: number;
  readonly scales: number;
  readonly records: number;
}

/** What a kernel needs as constants. */
export interface SparseLayout {
  /** Sets of eight rows in a tile: 1, 2, 4 or 8. */
  readonly sets: number;
  /** Slots of a row in a window. */
  readonly slots: number;
  readonly indexBits: 0 | 2 | 4;
  /** Slots that share four terms of the window, which their indices count in; 0 where indices count in the window. */
  readonly groupSlots: number;
  readonly termBits: 0 | 16 | 32;
  /** 32 and 16 are floats, 8 and 4 signed codes. */
  readonly valueBits: 32 | 16 | 8 | 4;
}

/** Terms of a window. */
export const WINDOW = 8;

/** Words of a record: of its list, of a row's indices, of all that a row has, and altogether. */
export function recordWords({ sets, slots, indexBits, termBits, valueBits }: SparseLayout) {
  const list = termBits / 4;
  const fields = sets * slots;
  const index = Math.ceil((fields * indexBits) / 32);
  const row = index + Math.ceil((fields * valueBits) / 32);
  return { list, index, row, all: list + 8 * row };
}

/** Where in its record word i of row `row` of a set lies: as many fours as there are, to be read at once, then the rest. */
export function rowWord({ list, row: words }: { list: number; row: number }, i: number, row: number): number {
  return list + (i < words - (words % 4) ? 32 * (i >> 2) + 4 * row + (i & 3) : 8 * i + row);
}

/** Sets of a tile for so many rows of a group. */
export function setsFor(rows: number): number {
  return rows > 32 ? 8 : rows > 16 ? 4 : rows > 8 ? 2 : 1;
}
