import { float16ToNumber, numberToFloat16 } from './float16.ts';
import { halfWords } from './halfWords.ts';
import type { RowLayout } from './rowLayout.ts';
import { copying, inSteps, type Steps } from './steps.ts';

/**
 * Rows of fields as bit streams that are decoded independently of one another, by shaders/expand/expand_rows.wgsl: stream
 * s has rows s, s + streams, s + 2·streams, …, each term of a row in the order of its slots. A stream begins at any bit,
 * and its least significant bits come first.
 */
export interface RowStreams {
  readonly coding: CodingName;
  readonly streams: number;
  /** Bits of a row where all have the same, and each a stream of its own; else 0. */
  readonly rowBits: number;
  /** Bits of a value, to which `low` is added. */
  readonly valueBits: number;
  readonly low: number;
  /** Bits of a gap's symbol; 0 where there are none. */
  readonly gapBits: number;
  /** Words at which the parts begin: scales, what is copied as it is, streams. The starts of the streams come first, if any. */
  readonly at: { readonly scales: number; readonly tail: number; readonly payload: number };
  readonly tailWords: number;
  /** All rows have one scale. */
  readonly sharedScale: boolean;
  readonly halfScales: boolean;
  readonly words: Uint32Array;
}

/** The fields of a matrix: `levels` by element, 0 where there is nothing to store in a sparse coding. */
export interface RowFields {
  readonly layout: RowLayout;
  readonly levels: Int16Array | Int32Array;
  /** What is added to a level to make the field. */
  readonly offset: number;
  /** Levels are any 16 or 32 bits rather than numbers. */
  readonly floatBits?: 16 | 32;
  /** One for each row; empty where the form has none. */
  readonly scale: Float32Array;
  /** Words that a kernel reads as they are. */
  readonly tail: Uint32Array;
}

interface Coding {
  /** The shader's tunable. */
  readonly tunable: number;
  /** Terms take the same bits all: rows need no starts. */
  readonly isEven?: boolean;
  /** Bits of a term, at most, besides its value. */
  most(gapBits: number): number;
  /** Bits of all streams, about. */
  bits(fields: CodedFields): number;
  /** Bits of a symbol for the terms between values. */
  gapBits?(fields: CodedFields): number;
  /** Begins a stream: the writer of its levels, and of its end. */
  open(put: (value: number, bits: number) => void, coded: CodedFields, gapBits: number): StreamWriter;
}

interface StreamWriter {
  add(level: number): void;
  close(): void;
}

interface CodedFields {
  readonly rowTerms: number;
  readonly terms: number;
  readonly nonzeros: number;
  readonly valueBits: number;
  readonly low: number;
  /** How many values have so many zeros before them, in the order of rows. */
  readonly gaps: ReadonlyMap<number, number>;
}

/** Adding a coding: here, and a branch of `next_field` in the shader. */
export const CODINGS = {
  /** Every term is a value. */
  packed: {
    tunable: 0,
    isEven: true,
    most: () => 0,
    bits: ({ terms, valueBits }) => terms * valueBits,
    open: (put, { valueBits, low }) => ({ add: (level) => put(level - low, valueBits), close() {} }),
  },
  /** A bit says whether a value follows. */
  bitmap: {
    tunable: 1,
    most: () => 1,
    bits: ({ terms, nonzeros, valueBits }) => terms + nonzeros * valueBits,
    open: (put, { valueBits, low }) => ({
      add(level) {
        put(level === 0 ? 0 : 1, 1);
        if (level !== 0) put(level - low, valueBits);
      },
      close() {},
    }),
  },
  /**
   * Symbols of `gapBits` bits, M = 2^gapBits − 1: a symbol below M is so many zeros and then a value, whose bits follow; M
   * is M zeros. The last symbol may stand for more zeros than are left.
   */
  gap: {
    tunable: 2,
    most: (gapBits) => gapBits,
    bits: (fields) => gapCost(fields, bestGapBits(fields)) + fields.nonzeros * fields.valueBits,
    gapBits: bestGapBits,
    open(put, { valueBits, low }, gapBits) {
      const filler = (1 << gapBits) - 1;
      let zeros = 0;
      return {
        add(level) {
          if (level === 0) {
            zeros++;
            return;
          }
          for (; zeros >= filler; zeros -= filler) put(filler, gapBits);
          put(zeros, gapBits);
          put(level - low, valueBits);
          zeros = 0;
        },
        close() {
          for (; zeros > 0; zeros -= filler) put(filler, gapBits);
        },
      };
    },
  },
} as const satisfies Record<string, Coding>;

export type CodingName = keyof typeof CODINGS;

function gapCost({ gaps }: CodedFields, bits: number): number {
  const filler = (1 << bits) - 1;
  let cost = 0;
  for (const [gap, count] of gaps) cost += count * bits * (1 + Math.floor(gap / filler));
  return cost;
}

function bestGapBits(fields: CodedFields): number {
  const costs = [1, 2, 3, 4, 5, 6, 7, 8].map((bits) => gapCost(fields, bits));
  return 1 + costs.indexOf(Math.min(...costs));
}

/** Starts of streams take this share of the streams: more streams keep more invocations busy. */
const STARTS = 0.02;
/** Codings are listed from the quickest to decode: one that takes no more than this is taken before those after it. */
const SIMPLER = 1.01;

/** Writes the fields in the coding that takes least. */
export function* encodingRows(fields: RowFields, only?: CodingName): Steps<RowStreams> {
  const { layout, levels, scale, tail } = fields;
  const slots = termSlots(layout);
  const coded = yield* measuring(fields, slots);
  const names = only ? [only] : (Object.keys(CODINGS) as CodingName[]);
  const sizes = names.map((name) => CODINGS[name].bits(coded));
  const least = Math.min(...sizes);
  const name = names[sizes.findIndex((size) => size <= SIMPLER * least)] as CodingName;
  const coding: Coding = CODINGS[name];
  const gapBits = coding.gapBits?.(coded) ?? 0;
  const rowBits = coding.isEven ? coded.valueBits * coded.rowTerms : 0;
  const streams = coding.isEven ? layout.rows : Math.max(1, Math.min(layout.rows, Math.floor((STARTS * least) / 32)));
  const sharedScale = scale.length > 0 && scale.every((value) => Object.is(value, scale[0]));
  const scales = sharedScale ? scale.subarray(0, 1) : scale;
  const halfScales = scales.every((value) => Object.is(float16ToNumber(numberToFloat16(value)), value));
  const scaleWords = halfScales ? halfWords(scales) : new Uint32Array(scales.slice().buffer);
  const scalesAt = coding.isEven ? 0 : streams;
  const at = {
    scales: scalesAt,
    tail: scalesAt + scaleWords.length,
    payload: scalesAt + scaleWords.length + tail.length,
  };
  const values = coding.isEven ? coded.terms : coded.nonzeros;
  // All that may be needed: an array that grows is copied all at once, and what is left unused takes no memory.
  const most = coded.terms * coding.most(gapBits) + values * coded.valueBits;
  const words = new Uint32Array(at.payload + Math.ceil(most / 32) + 1);
  const writer = new BitWriter(words.subarray(at.payload));
  words.set(scaleWords, at.scales);
  yield* copying(tail, words.subarray(at.tail, at.payload));
  for (let stream = 0; stream < streams; stream++) {
    if (!coding.isEven) words[stream] = writer.bits;
    const opened = coding.open((value, bits) => writer.put(value, bits), coded, gapBits);
    for (let row = stream; row < layout.rows; row += streams) {
      for (const slot of slots) {
        const element = layout.element(row, slot);
        opened.add(element < 0 ? 0 : levels[element]!);
      }
    }
    opened.close();
    yield;
  }
  return {
    ...{ coding: name, streams, rowBits, valueBits: coded.valueBits, low: coded.low + fields.offset, gapBits, at },
    ...{ tailWords: tail.length, sharedScale, halfScales },
    // And one of zeros behind them.
    words: words.subarray(0, at.payload + Math.ceil(writer.bits / 32) + 1),
  };
}

/** The slots of a row that have a term, in order. */
function termSlots({ slots, tapSlots, tapTerms }: RowLayout): Uint32Array {
  const found: number[] = [];
  for (let tap = 0; tap < slots; tap += tapSlots) {
    for (let i = 0; i < tapTerms && tap + i < slots; i++) found.push(tap + i);
  }
  return Uint32Array.from(found);
}

function* measuring({ layout, levels, floatBits }: RowFields, slots: Uint32Array): Steps<CodedFields> {
  let low = 0;
  let high = 0;
  let nonzeros = 0;
  let zeros = 0;
  const gaps = new Map<number, number>();
  const measureRow = (row: number) => {
    for (const slot of slots) {
      const element = layout.element(row, slot);
      const level = element < 0 ? 0 : levels[element]!;
      if (level === 0) {
        zeros++;
        continue;
      }
      nonzeros++;
      if (level < low) low = level;
      if (level > high) high = level;
      gaps.set(zeros, (gaps.get(zeros) ?? 0) + 1);
      zeros = 0;
    }
  };
  yield* inSteps(
    layout.rows,
    (begin, end) => {
      for (let row = begin; row < end; row++) measureRow(row);
    },
    // A few times as long as other looks at an element.
    4 * slots.length,
  );
  if (floatBits !== undefined) low = 0;
  return {
    rowTerms: slots.length,
    terms: layout.rows * slots.length,
    nonzeros,
    low,
    valueBits: floatBits ?? Math.max(1, Math.ceil(Math.log2(high - low + 1))),
    gaps,
  };
}

/** Values of 1 to 32 bits, one after another, the least significant bit first. */
class BitWriter {
  readonly #words: Uint32Array;
  bits = 0;

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  put(value: number, bits: number): void {
    const word = this.bits >>> 5;
    const shift = this.bits & 31;
    this.#words[word]! |= value << shift;
    if (shift + bits > 32) this.#words[word + 1]! |= value >>> (32 - shift);
    this.bits += bits;
  }
}
