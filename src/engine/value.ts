import type { BufferSlice } from '../gpu/buffers.ts';
import type { Operand } from '../kernels/kernel.ts';
import type { Scalar } from '../kernels/shader.ts';

/** Memory behind one or more values: a slice that exists, or bytes that the memory planner will place. */
export interface Storage {
  readonly label: string;
  readonly bytes: number;
  /** Persistent memory; the planner leaves it alone. */
  readonly slice?: BufferSlice;
  /** Of a constant: the place for what is made of it once. */
  readonly derive?: Derive | undefined;
  /** Numbers of the first and last command that touch it; -1 while none does. */
  first: number;
  last: number;
  /** Whether a command writes it (else it reads it), by the numbers of those that touch it. */
  readonly uses: Map<number, boolean>;
}

/** What was made of a constant, or is to be. */
export interface Derived {
  readonly slice: BufferSlice;
  isReady: boolean;
}

/** Finds or creates memory of so many bytes for what a key names. */
export type Derive = (key: string, bytes: number) => Derived;

/** A tensor on the GPU while a plan is being recorded: a shape over a storage. Row-major, NCHW for images. */
export interface Value<T extends Scalar = Scalar> extends Operand<T> {
  readonly shape: readonly number[];
  readonly storage: Storage;
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
