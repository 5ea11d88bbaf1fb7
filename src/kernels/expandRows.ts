import { expandRowsShader } from './generated/expand.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import type { RowLayout } from './rowLayout.ts';
import { CODINGS, type RowStreams } from './rowStreams.ts';

/** What the words of a form are made of, and where its parts lie in them. */
export interface RowExpansion {
  readonly layout: RowLayout;
  readonly streams: Omit<RowStreams, 'words'>;
  /** The field of a term that has no value. */
  readonly zero: number;
  /** Rows that have a scale, and room for scales; 0 where the form has none of its own. */
  readonly scales: number;
  readonly paddedScales: number;
  /** Words of the form at which the parts begin. */
  readonly out: { readonly scales: number; readonly sums: number | undefined; readonly tail: number };
  /** Of the form. */
  readonly words: number;
}

export interface ExpandCall {
  /** The words of `RowStreams`. */
  stored: Operand<'u32'>;
  /** float16, two per word: made float32 on the way. */
  halfBias?: Operand<'u32'> | undefined;
  /** Rows that have a bias. */
  biasRows?: number;
  label?: string;
}

/** Makes the words that a layer's kernel reads, and its bias where that is kept in half precision, in temporaries. */
export function expandRows(
  recorder: Recorder,
  expansion: RowExpansion,
  { stored, halfBias, biasRows = 0, label = 'expand weights' }: ExpandCall,
): { operand: Operand<'u32'>; bias: Operand<'f32'> | undefined } {
  const { layout, streams, zero, scales, paddedScales, out, words } = expansion;
  const expanded = recorder.temporary('u32', words, 'expanded weights');
  const biased = halfBias ? biasRows : 0;
  const bias = recorder.temporary('f32', Math.max(1, biased), 'bias');
  // Bits that a field may take.
  const most = streams.valueBits + CODINGS[streams.coding].most(streams.gapBits);
  const isPadded =
    layout.rows < layout.paddedRows ||
    layout.tapTerms < layout.tapSlots ||
    layout.slots < (layout.words * 32) / layout.width;
  const wg = recorder.capabilities.kind === 'cpu' ? 8 : 64;
  recorder.dispatch(expandRowsShader, {
    operands: { stored, half_bias: halfBias ?? stored, expanded, bias },
    args: {
      streams: streams.streams,
      ...{ rows: layout.rows, padded_rows: layout.paddedRows, group_rows: layout.groupRows },
      ...{ group_stride: layout.groupStride, row_stride: layout.rowStride, word_stride: layout.wordStride },
      ...{ words: layout.words, slots: layout.slots, tap_slots: layout.tapSlots, tap_terms: layout.tapTerms },
      ...{ value_bits: streams.valueBits, gap_bits: streams.gapBits, low: streams.low >>> 0, zero },
      ...{ payload: streams.at.payload, row_bits: streams.rowBits },
      ...{ scales: streams.at.scales, scale_step: streams.sharedScale ? 0 : 1, scales_out: out.scales },
      ...{ sums_out: out.sums ?? 0, scale_count: scales, padded_scales: paddedScales },
      ...{ tail: streams.at.tail, tail_out: out.tail, tail_words: streams.tailWords, biased_rows: biased },
    },
    tunables: {
      WIDTH: layout.width,
      PAIRED: layout.paired,
      QUADS: layout.quads,
      CODING: CODINGS[streams.coding].tunable,
      SUMS: out.sums !== undefined,
      HALF_SCALES: streams.halfScales,
      BATCH: [8, 4, 2].find((fields) => fields * most <= 32 && fields * layout.width <= 32) ?? 1,
      WIDE: most > 32,
      PADDED: isPadded,
      WG: wg,
    },
    workgroups: grid(streams.streams, wg),
    label,
  });
  return { operand: expanded, bias: halfBias && bias };
}
