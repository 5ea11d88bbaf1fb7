import type { Gpu } from '../src/gpu/gpu.ts';
import type { Plan } from '../src/gpu/plan.ts';
import { profile } from '../src/gpu/profile.ts';
import { replayTimed } from '../src/gpu/timing.ts';
import { fractionOfRoof, type Roof } from '../src/kernels/roof.ts';
import type { Contender } from './contender.ts';
import { spreadOf } from './statistics.ts';

/** What a plan's dispatches take on the GPU, without what is read back or waited for. */
export interface GpuFigures {
  milliseconds: number;
  /** Multiplications and additions that the dispatches say they do. */
  operations: number;
  /** As in `wgslim profile`: the time that the adapter's measured roof allows at least, through the time taken. */
  ofRoof: number;
  /** Share of a training step that is not kernels: encoding, upload, dispatching, waiting. */
  notKernels?: number;
}

/** Medians of a few replays with timestamps; undefined where the adapter has none, or too coarse ones. */
export async function gpuFigures(gpu: Gpu, plan: Plan, roof: Roof): Promise<GpuFigures | undefined> {
  const { dispatches, gpuMicroseconds } = await profile(gpu, plan, { warmup: 1, repeats: 3 });
  if (!gpuMicroseconds) return undefined;
  let allowed = 0;
  let operations = 0;
  // Each dispatch against its own limit: one may be bound by arithmetic, the next by memory.
  for (const { work, bytes, microseconds = 0 } of dispatches) {
    allowed += fractionOfRoof(roof, work, bytes, microseconds) * microseconds;
    operations += (work.flops ?? 0) + (work.ops ?? 0);
  }
  return { milliseconds: gpuMicroseconds / 1000, operations, ofRoof: allowed / gpuMicroseconds };
}

const PAIRS = 15;

/**
 * What of a step its kernels do not take: a block of steps on the clock, and the dispatches of one step by timestamps, in
 * turns; the median over the pairs, in which an interruption of either weighs little. Below zero is noise.
 */
export async function shareNotKernels({ run, steps, plan }: Contender): Promise<number | undefined> {
  if (!steps || !plan) return undefined;
  const shares: number[] = [];
  for (let i = 0; i < PAIRS; i++) {
    const started = performance.now();
    await run();
    const step = (performance.now() - started) / steps;
    const timings = await replayTimed(plan);
    if (!timings) return undefined;
    const kernels = timings.reduce((sum, { microseconds }) => sum + microseconds, 0) / 1000;
    shares.push(1 - kernels / step);
  }
  return spreadOf(shares).median;
}
