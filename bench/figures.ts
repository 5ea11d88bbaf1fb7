import type { Gpu } from '../src/gpu/gpu.ts';
import type { Plan } from '../src/gpu/plan.ts';
import { median, profile } from '../src/gpu/profile.ts';
import { replayBlock } from '../src/gpu/timing.ts';
import { fractionOfRoof, type Roof } from '../src/kernels/roof.ts';

/** What a plan's dispatches take on the GPU, without what is read back or waited for. */
export interface GpuFigures {
  milliseconds: number;
  /** Multiplications and additions that the dispatches say they do. */
  operations: number;
  /** As in `wgslim profile`: the time that the adapter's measured roof allows at least, through the time taken. */
  ofRoof: number;
  /**
   * Share of a training step that is not kernels: upload, encoding, dispatching, the notice of the end. Of blocks of steps
   * like those whose wall time is measured, but with timestamps, which add some.
   */
  notKernels?: number;
}

/** A block of training steps. */
interface Block {
  steps: number;
  prepare?: (() => void) | undefined;
}

const BLOCKS = 9;

/** Medians of a few replays with timestamps; undefined where the adapter has none, or too coarse ones. */
export async function gpuFigures(gpu: Gpu, plan: Plan, roof: Roof, block?: Block): Promise<GpuFigures | undefined> {
  const { dispatches, gpuMicroseconds } = await profile(gpu, plan, { warmup: 1, repeats: block ? 7 : 3 });
  if (!gpuMicroseconds) return undefined;
  let allowed = 0;
  let operations = 0;
  // Each dispatch against its own limit: one may be bound by arithmetic, the next by memory.
  for (const { work, bytes, microseconds = 0 } of dispatches) {
    allowed += fractionOfRoof(roof, work, bytes, microseconds) * microseconds;
    operations += (work.flops ?? 0) + (work.ops ?? 0);
  }
  const figures = { milliseconds: gpuMicroseconds / 1000, operations, ofRoof: allowed / gpuMicroseconds };
  return block ? { ...figures, notKernels: await notKernels(plan, block) } : figures;
}

async function notKernels(plan: Plan, { steps, prepare }: Block): Promise<number> {
  const shares: number[] = [];
  for (let i = 0; i < BLOCKS; i++) {
    const timing = await replayBlock(plan, steps, prepare);
    if (timing) shares.push(1 - timing.gpu / timing.wall);
  }
  return median(shares);
}
