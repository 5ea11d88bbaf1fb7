import type { Gpu } from './gpu.ts';

/**
 * Keeps the host a few submissions ahead of the GPU and no more: the queue stays busy, memory for command buffers stays
 * bounded, and a stop takes effect soon.
 */
export class Throttle {
  readonly #gpu: Gpu;
  readonly #ahead: number;
  readonly #pending: Promise<unknown>[] = [];
  #submitted = 0;

  constructor(gpu: Gpu, ahead = 3) {
    this.#gpu = gpu;
    this.#ahead = ahead;
  }

  /** Call after each submission; waits while more than `ahead` are in flight. */
  async pace(): Promise<void> {
    if (this.#gpu.patience) {
      // No promise stays pending between submissions; with the GPU's work on this processor, nothing runs beside it.
      this.#gpu.throwIfLost();
      if (++this.#submitted % this.#ahead === 0) await this.#gpu.idle();
      return;
    }
    this.#pending.push(this.#gpu.device.queue.onSubmittedWorkDone());
    if (this.#pending.length > this.#ahead) await this.#gpu.orLost(this.#pending.shift() as Promise<unknown>);
    this.#gpu.throwIfLost();
  }
}
