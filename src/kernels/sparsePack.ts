import { recordWords, rowWord, type SparseLayout, type SparseWeights, WINDOW } from './sparseFormat.ts';
import type { SparseValues } from './sparseValues.ts';
import type { Steps } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** Eight terms and what every row of a tile has of them. */
export interface SparseWindow {
  /** Up to eight; the rest repeat the last one. Not used where `termBits` is 0. */
  readonly terms: ArrayLike<number>;
  /** The place in the window, 0 to 7, of every slot's term, at row·slots + slot; -1 for a slot that is empty. */
  readonly slots: Int32Array;
}

export interface SparseTile {
  /** Numbers of its rows, at most 8·sets. */
  readonly rows: readonly number[];
  readonly windows: readonly SparseWindow[];
}

/** Lays tiles out as `SparseWeights` says. All groups have the same number of tiles. */
export function* packingTiles(
  form: SparseWeights['form'],
  matrix: WeightMatrix,
  values: SparseValues,
  { layout, tiles, groups }: { layout: SparseLayout; tiles: readonly SparseTile[]; groups: number },
): Steps<SparseWeights> {
  const { rows, k } = matrix;
  const height = 8 * layout.sets;
  const record = recordWords(layout);
  const windows = tiles.reduce((sum, tile) => sum + tile.windows.length, 0);
  const order = tiles.length + 1;
  const scales = order + tiles.length * height;
  // Words are read in fours.
  const records = 4 * Math.ceil((scales + (values.scale ? tiles.length * height : 0)) / 4);
  const words = new Uint32Array(records + windows * record.all);
  const floats = new Float32Array(words.buffer);
  let first = 0;
  let nonzeros = 0;
  for (const [index, tile] of tiles.entries()) {
    words[index] = first;
    for (let r = 0; r < height; r++) {
      const row = tile.rows[r];
      words[order + index * height + r] = row ?? 0xffffffff;
      if (values.scale && row !== undefined) floats[scales + index * height + r] = values.scale(row);
    }
    tile.windows.forEach((window, w) => {
      nonzeros += putWindow(window, tile, w, records + (first + w) * record.all);
    });
    first += tile.windows.length;
    yield;
  }
  words[tiles.length] = first;
  return {
    form,
    words,
    rows,
    k,
    groups,
    layout,
    tiles: tiles.length,
    windows,
    nonzeros,
    order,
    scales: values.scale ? scales : 0,
    records,
  };

  /** Writes window w of a tile into its record, which begins there. Returns how many weights it has. */
  function putWindow({ terms, slots }: SparseWindow, tile: SparseTile, w: number, at: number): number {
    const listed = layout.termBits > 0;
    for (let i = 0; i < WINDOW && listed; i++) {
      const term = terms[Math.min(i, terms.length - 1)]!;
      if (layout.termBits === 32) words[at + i] = term;
      else words[at + (i >> 1)]! |= term << (16 * (i & 1));
    }
    let count = 0;
    for (let r = 0; r < tile.rows.length; r++) {
      for (let slot = 0; slot < layout.slots; slot++) {
        const place = slots[r * layout.slots + slot]!;
        if (place < 0) continue;
        const weight = tile.rows[r]! * k + (listed ? terms[place]! : WINDOW * w + place);
        if (values.isZero(weight)) continue;
        count++;
        const j = (r >> 3) * layout.slots + slot;
        const index = layout.groupSlots > 0 ? place & 3 : place;
        setField(at, r & 7, 0, j, layout.indexBits, index);
        setField(at, r & 7, record.index, j, layout.valueBits, values.field(weight));
      }
    }
    return count;
  }

  /** Field j of those of `bits` bits that begin with word `first` of a row. */
  function setField(at: number, row: number, first: number, j: number, bits: number, value: number): void {
    if (bits === 0) return;
    const perWord = 32 / bits;
    words[at + rowWord(record, first + Math.floor(j / perWord), row)]! |= value << (bits * (j % perWord));
  }
}

/** Rows of every group in tiles of at most `height`; `sort` puts a group's rows into the order that tiles are cut in. */
export function cutRows(
  { rows }: WeightMatrix,
  groups: number,
  height: number,
  sort: (rows: number[]) => number[] = (own) => own,
): number[][] {
  const share = rows / groups;
  if (!Number.isInteger(share)) throw new Error(`${rows} rows do not make ${groups} groups of equal size`);
  const tiles: number[][] = [];
  for (let group = 0; group < groups; group++) {
    const own = sort(Array.from({ length: share }, (_, i) => group * share + i));
    for (let first = 0; first < share; first += height) tiles.push(own.slice(first, first + height));
  }
  return tiles;
}
