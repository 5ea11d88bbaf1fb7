import { type BufferSlice, USAGE, wholeBuffer } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { encodeArgs } from './kernel.ts';
import type { Args, Shader } from './shader.ts';

/**
 * Arguments that change from one replay of a plan to the next (a learning rate, a step number). `write` takes effect for
 * the replays queued after it: the queue keeps the order, so nothing that was submitted before sees the new values.
 */
export class DynamicArgs<S extends Shader> {
  readonly slice: BufferSlice;
  readonly #gpu: Gpu;
  readonly #shader: S;

  constructor(gpu: Gpu, shader: S, initial: Args<S>) {
    this.#gpu = gpu;
    this.#shader = shader;
    const bytes = shader.args?.size ?? 16;
    this.slice = wholeBuffer(gpu.buffers.create(bytes, `${shader.name}: arguments`, USAGE.UNIFORM | USAGE.COPY_DST));
    this.write(initial);
  }

  write(args: Args<S>): void {
    this.#gpu.write(this.slice, encodeArgs(this.#shader, args as Record<string, number>));
  }

  dispose(): void {
    this.#gpu.buffers.destroy(this.slice.buffer);
  }
}
