import type { Storage } from './value.ts';

/** Where a storage lies: the number of a buffer, and bytes from its start. */
export interface Place {
  readonly buffer: number;
  readonly offset: number;
}

export interface MemoryLayout {
  /** Bytes of each buffer to create. */
  sizes: number[];
  placement: Map<Storage, Place>;
  /** Bytes that the storages would take without sharing. */
  unshared: number;
}

/** Bytes that a binding of a storage covers: whole vectors. */
export const boundBytes = (bytes: number) => Math.max(16, Math.ceil(bytes / 16) * 16);

/**
 * Places storages into buffers so that those whose lifetimes do not overlap share memory. Several buffers rather than
 * one, because WebGPU refuses a dispatch that binds a buffer both for reading and for writing, whatever the ranges; side
 * by side in a buffer lie those that no command reads and writes together. Largest first, into the first gap of the first
 * buffer that has one over the lifetime ("greedy by size", Pisarchyk & Lee 2020, Efficient Memory Management for Deep
 * Neural Net Inference).
 * @param alignment of offsets, bytes
 */
export function planMemory(storages: readonly Storage[], alignment: number): MemoryLayout {
  const sizes: number[] = [];
  const occupants: Storage[][] = [];
  const placement = new Map<Storage, Place>();
  const offsetOf = (storage: Storage) => placement.get(storage)?.offset ?? 0;
  let unshared = 0;
  for (const storage of [...storages].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    unshared += storage.bytes;
    const bytes = boundBytes(storage.bytes);
    let buffer = 0;
    let offset = 0;
    for (; buffer < sizes.length; buffer++) {
      const others = occupants[buffer].filter((other) => other.first <= storage.last && storage.first <= other.last);
      if (others.some((other) => conflict(storage, other))) continue;
      offset = 0;
      for (const other of others.sort((a, b) => offsetOf(a) - offsetOf(b))) {
        const begin = offsetOf(other);
        if (begin - offset >= bytes) break;
        // Others that do not meet in time may overlap in place.
        offset = Math.max(offset, Math.ceil((begin + boundBytes(other.bytes)) / alignment) * alignment);
      }
      if (offset + bytes <= boundBytes(sizes[buffer])) break;
    }
    if (buffer === sizes.length) {
      sizes.push(storage.bytes);
      occupants.push([]);
      offset = 0;
    }
    occupants[buffer].push(storage);
    placement.set(storage, { buffer, offset });
  }
  return { sizes, placement, unshared };
}

/** Whether a command reads one and writes the other. */
function conflict(a: Storage, b: Storage): boolean {
  return [...a.uses].some(([command, writes]) => b.uses.get(command) === !writes);
}
