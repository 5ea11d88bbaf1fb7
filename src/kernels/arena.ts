import type { BufferSlice } from '../gpu/buffers.ts';

/** Floats per segment of a parameter arena: every parameter starts at a multiple of it. */
export const SEGMENT = 64;

/**
 * Ranges of an arena start at multiples of this many elements, so that the mask (1 bit per element) and the segment
 * table (4 bytes per 64 elements) of a range start at multiples of 256 bytes too, as a storage binding must.
 */
export const RANGE_ALIGNMENT = 4096;

/** Part of an arena, in elements. */
export interface ArenaRange {
  readonly start: number;
  readonly elements: number;
}

/** Cuts an arena into as few ranges as fit into a storage binding: one, but for very large models. */
export function arenaRanges(elements: number, maxBindingBytes: number): ArenaRange[] {
  const most = Math.floor(maxBindingBytes / 4 / RANGE_ALIGNMENT) * RANGE_ALIGNMENT;
  if (most < RANGE_ALIGNMENT) throw new Error(`A storage binding of ${maxBindingBytes} bytes holds no range`);
  const ranges: ArenaRange[] = [];
  for (let start = 0; start < elements; start += most) {
    ranges.push({ start, elements: Math.min(most, elements - start) });
  }
  return ranges;
}

/** What lies behind the elements of an arena: floats, the bits of a mask, or the entries of a segment table. */
export type ArenaKind = 'values' | 'mask' | 'segments';

/** Scalars that a companion of `elements` floats has. */
export function companionLength(elements: number, kind: ArenaKind): number {
  return kind === 'values' ? elements : kind === 'mask' ? Math.ceil(elements / 32) : Math.ceil(elements / SEGMENT);
}

/** The bytes of an arena's companion that belong to a range. */
export function arenaSlice(whole: BufferSlice, range: ArenaRange, kind: ArenaKind = 'values'): BufferSlice {
  const offset = whole.offset + 4 * companionLength(range.start, kind);
  return { buffer: whole.buffer, offset, size: 4 * companionLength(range.elements, kind) };
}

/** A parameter as the optimizers see it. */
export interface SegmentEntry {
  /** First element, a multiple of SEGMENT. */
  readonly offset: number;
  readonly elements: number;
  readonly trainable?: boolean;
  readonly decays?: boolean;
  /** Adam's steps, which know nothing of a parameter's size, are multiplied by it. */
  readonly relative?: boolean;
  /** 0..15: which multiplier of the learning rate. */
  readonly group?: number;
}

export const RATE_GROUPS = 16;

/** The table that tells an optimizer what to do with each segment; segments of no entry are left alone. */
export function segmentTable(elements: number, entries: readonly SegmentEntry[]): Uint32Array<ArrayBuffer> {
  const table = new Uint32Array(companionLength(elements, 'segments'));
  for (const { offset, elements: length, trainable = true, decays = false, relative = false, group = 0 } of entries) {
    if (offset % SEGMENT !== 0 || offset + length > elements) {
      throw new Error(`A parameter of ${length} elements at ${offset} does not fit into an arena of ${elements}`);
    }
    if (!(Number.isInteger(group) && group >= 0 && group < RATE_GROUPS)) {
      throw new Error(`Learning-rate group ${group} is not in 0..${RATE_GROUPS - 1}`);
    }
    const flags = (trainable ? 1 : 0) | (decays ? 2 : 0) | (relative ? 4 : 0) | (group << 8);
    table.fill(flags, offset / SEGMENT, Math.ceil((offset + length) / SEGMENT));
  }
  return table;
}

/** A mask that keeps everything. */
export function fullMask(elements: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(companionLength(elements, 'mask')).fill(0xffffffff);
}

/** Refuses a companion that does not match its arena: a kernel would read past its end. */
export function checkCompanion(name: string, given: number, elements: number, kind: ArenaKind): void {
  const needed = companionLength(elements, kind);
  if (given < needed) throw new Error(`${name} has ${given} scalars, but ${elements} elements need ${needed}`);
}
