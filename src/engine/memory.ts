import type { Storage } from './value.ts';

export interface MemoryLayout {
  /** Bytes of each buffer to create. */
  sizes: number[];
  /** Which buffer a storage lies in (always at its start). */
  placement: Map<Storage, number>;
  /** Bytes that the storages would take without sharing. */
  unshared: number;
}

/**
 * Places storages into buffers so that those whose lifetimes do not overlap share one. Whole buffers rather than
 * offsets into one, because WebGPU refuses a dispatch that binds one buffer both for reading and for writing, whatever
 * the ranges. Largest first into the fullest buffer that is free over the lifetime ("greedy by size", Pisarchyk & Lee
 * 2020, Efficient Memory Management for Deep Neural Net Inference).
 */
export function planMemory(storages: readonly Storage[]): MemoryLayout {
  const order = [...storages].sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  const sizes: number[] = [];
  const occupants: Storage[][] = [];
  const placement = new Map<Storage, number>();
  let unshared = 0;
  for (const storage of order) {
    unshared += storage.bytes;
    let best = -1;
    for (let i = 0; i < sizes.length; i++) {
      // In order of size every buffer is large enough; the smallest one wastes least.
      const free = occupants[i].every((other) => other.last < storage.first || storage.last < other.first);
      if (free && (best < 0 || sizes[i] < sizes[best])) best = i;
    }
    if (best < 0) {
      best = sizes.length;
      sizes.push(storage.bytes);
      occupants.push([]);
    }
    occupants[best].push(storage);
    placement.set(storage, best);
  }
  return { sizes, placement, unshared };
}
