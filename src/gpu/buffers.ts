import type { Capabilities } from './capabilities.ts';
import { LimitError, OutOfMemoryError } from './errors.ts';

/** A range of a buffer, in bytes. */
export interface BufferSlice {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

export interface BufferStatistics {
  /** Bytes of all buffers that exist. */
  bytes: number;
  /** The most that `bytes` has been. */
  peakBytes: number;
  buffers: number;
  /** Buffers ever created: the same before and after a step that allocates nothing. */
  created: number;
}

// STORAGE rather than `GPUBufferUsage.STORAGE`: the global does not exist in Node before an adapter was asked for.
export const USAGE = {
  MAP_READ: 1,
  MAP_WRITE: 2,
  COPY_SRC: 4,
  COPY_DST: 8,
  UNIFORM: 64,
  STORAGE: 128,
  QUERY_RESOLVE: 512,
} as const;
const STORAGE_USAGE = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;

/**
 * Creates every buffer of a device and counts its bytes. Limits are checked before the driver is asked; a driver's
 * out-of-memory arrives later by an error scope and is thrown by `settle`.
 */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #capabilities: Capabilities;
  readonly #pending = new Set<Promise<void>>();
  #failure: OutOfMemoryError | undefined;
  #statistics: BufferStatistics = { bytes: 0, peakBytes: 0, buffers: 0, created: 0 };
  readonly #sizes = new Map<GPUBuffer, number>();

  constructor(device: GPUDevice, capabilities: Capabilities) {
    this.#device = device;
    this.#capabilities = capabilities;
  }

  /** A zeroed buffer of at least `bytes` (rounded up to 16, never empty), for storage and copies unless told otherwise. */
  create(bytes: number, label: string, usage: number = STORAGE_USAGE): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    if (!Number.isSafeInteger(size)) throw new LimitError(`${label}: ${bytes} bytes is not a size`);
    if (size > this.#capabilities.maxBufferBytes) {
      throw new LimitError(
        `${label} needs ${size} bytes, more than this adapter's largest buffer (maxBufferSize ${this.#capabilities.maxBufferBytes}); use a smaller batch`,
      );
    }
    this.#device.pushErrorScope('out-of-memory');
    const buffer = this.#device.createBuffer({ size, usage, label });
    const settled = this.#device.popErrorScope().then(
      (error) => {
        this.#pending.delete(settled);
        if (error) {
          this.#failure ??= new OutOfMemoryError(
            `The device has no memory for ${label} (${size} bytes, ${this.#statistics.bytes} held): use a smaller batch`,
          );
        }
      },
      () => void this.#pending.delete(settled), // a lost device reports itself
    );
    this.#pending.add(settled);
    this.#sizes.set(buffer, size);
    const statistics = this.#statistics;
    statistics.bytes += size;
    statistics.peakBytes = Math.max(statistics.peakBytes, statistics.bytes);
    statistics.buffers++;
    statistics.created++;
    return buffer;
  }

  destroy(buffer: GPUBuffer): void {
    const size = this.#sizes.get(buffer);
    if (size === undefined) return;
    this.#sizes.delete(buffer);
    this.#statistics.bytes -= size;
    this.#statistics.buffers--;
    buffer.destroy();
  }

  /** Waits until every creation so far is known to have succeeded; throws OutOfMemoryError if one has not. */
  async settle(): Promise<void> {
    await Promise.all(this.#pending);
    if (this.#failure) {
      const failure = this.#failure;
      this.#failure = undefined;
      throw failure;
    }
  }

  get statistics(): Readonly<BufferStatistics> {
    return { ...this.#statistics };
  }
}

export function wholeBuffer(buffer: GPUBuffer): BufferSlice {
  return { buffer, offset: 0, size: buffer.size };
}
