import type { Plan } from '../src/gpu/plan.ts';

/** One implementation of a case, set up on its device. */
export interface Contender {
  readonly name: string;
  /** Does the work once and reads the result back. */
  run(): Promise<Float32Array>;
  /** Milliseconds of one of several runs in a row, for a contender that is timed where it runs, in a process of its own. */
  sample?(repeats: number): Promise<number>;
  /** Steps in a run, where a run is several (a block of training steps); times are per step. */
  readonly steps?: number;
  /** What is compared instead of the result of a run. Called once, before any run. */
  check?(): Promise<Float32Array>;
  /** Brings a result into wgslim's layout, outside the time that is measured. */
  arrange?(result: Float32Array): Float32Array;
  /** The dispatches that take longest, as text; undefined where the adapter has no timestamps. */
  profile?(): Promise<string | undefined>;
  /** wgslim's dispatches, for their time on the GPU and the fraction of its roof. */
  readonly plan?: Plan;
  /** What a step uploads before its plan is replayed. */
  prepare?(): void;
  dispose?(): void | Promise<void>;
}

/** Largest difference between two results, relative to the largest magnitude of the first. NaN counts as infinite. */
export function relativeError(expected: Float32Array, actual: Float32Array): number {
  if (expected.length !== actual.length) return Number.POSITIVE_INFINITY;
  let scale = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]));
    const difference = Math.abs(expected[i] - actual[i]);
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return worst === 0 ? 0 : worst / scale;
}
