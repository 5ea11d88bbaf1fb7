import type { ArenaRange } from './arena.ts';
import { applyThresholdShader, radixHistogramShader, radixPickShader } from './generated/prune.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';

/** Elements of a tile: what one workgroup counts. */
const TILE = 4096;
const APPLY_WG = 64;

/** A parameter that may be pruned. */
export interface Prunable {
  /** First element in the arena, a multiple of 32. */
  readonly offset: number;
  readonly elements: number;
  /** Elements of one group are ranked among each other: one group for all is a global ranking, one each is per layer. */
  readonly group: number;
}

/**
 * The work list of a selection: [tiles, 4] of (first element of the range, elements, group, 0). Padding behind a
 * parameter is in no tile, so it is neither counted nor cleared.
 * @param range of the arena (see `arenaRanges`); all of it by default
 */
export function selectionTiles(parameters: readonly Prunable[], range?: ArenaRange): Uint32Array<ArrayBuffer> {
  const { start, elements: length } = range ?? { start: 0, elements: Number.POSITIVE_INFINITY };
  const tiles: number[] = [];
  for (const { offset, elements, group } of parameters) {
    if (offset % 32 !== 0) throw new Error(`A parameter at ${offset} does not start with a word of the mask`);
    const end = Math.min(offset + elements, start + length);
    for (let first = Math.max(offset, start); first < end; first += TILE) {
      tiles.push(first - start, Math.min(TILE, end - first), group, 0);
    }
  }
  return Uint32Array.from(tiles);
}

/** Selection over one range of an arena. */
export interface SelectionRange {
  /** Not negative; a NaN counts as the largest of all. */
  scores: Operand<'f32'>;
  /** One bit per element, 1 keeps. */
  mask: Operand<'u32'>;
  /** From `selectionTiles`. */
  tiles: Operand<'u32'>;
  /** First element of the range in the arena. Default 0. */
  start?: number;
}

export interface SelectSmallestOptions {
  ranges: readonly SelectionRange[];
  /**
   * [groups]: how many elements of each group end up pruned, those that are already included. Written by the host; more
   * than there are prunes all of them.
   */
  counts: Operand<'u32'>;
}

/**
 * Prunes the elements with the smallest scores, exactly as many as asked for: of equal scores the ones with the lowest
 * index. What is pruned stays pruned (it ranks below everything else). A radix selection, 8 bits per pass: four passes
 * over the scores' bits find the threshold, further passes over the index where among the elements at the threshold to
 * stop. Nothing is sorted, and the result does not depend on the scheduling.
 */
export function pruneSmallest(recorder: Recorder, { ranges, counts }: SelectSmallestOptions): void {
  const groups = counts.elements;
  const states = recorder.temporary('u32', 4 * groups, 'selection');
  const histogram = recorder.temporary('u32', 256 * groups, 'histogram');
  const pick = (shift: number, phase: number) =>
    recorder.dispatch(radixPickShader, {
      operands: { counts, states, histogram },
      args: { groups, shift, phase },
      workgroups: grid(groups, 1),
      label: 'selection: pick',
    });
  const pass = (shift: number, byIndex: boolean) => {
    for (const { scores, mask, tiles, start = 0 } of ranges) {
      const count = tiles.elements / 4;
      if (count === 0) continue;
      recorder.dispatch(radixHistogramShader, {
        operands: { scores: asBits(scores), mask, tiles, states, histogram },
        args: { tiles: count, start, shift, higher: shift === 24 ? 0 : (0xffffffff << (shift + 8)) >>> 0 },
        tunables: { BY_INDEX: byIndex },
        workgroups: grid(count, 1),
        label: 'selection: count',
      });
    }
    pick(shift, byIndex ? 2 : 1);
  };
  pick(0, 0);
  for (const shift of [24, 16, 8, 0]) pass(shift, false);
  const last = Math.max(...ranges.map(({ scores, start = 0 }) => start + scores.elements)) - 1;
  for (const shift of indexShifts(last)) pass(shift, true);
  for (const { scores, mask, tiles, start = 0 } of ranges) {
    const count = tiles.elements / 4;
    if (count === 0) continue;
    recorder.dispatch(applyThresholdShader, {
      operands: { scores: asBits(scores), tiles, states, mask },
      args: { tiles: count, start },
      tunables: { WG: APPLY_WG },
      workgroups: grid(count, 1),
      label: 'selection: apply',
    });
  }
}

/** The passes that tell indices up to `last` apart: the highest bits that may be set first. */
export function indexShifts(last: number): number[] {
  return [24, 16, 8, 0].filter((shift) => shift === 0 || last >= 2 ** shift);
}

/** The same memory as integers: comparing bits leaves nothing to a device's handling of NaN and denormal numbers. */
export function asBits<T extends Operand<'f32'>>(operand: T): Omit<T, 'dtype'> & Operand<'u32'> {
  return { ...operand, dtype: 'u32' };
}
