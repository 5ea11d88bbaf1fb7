import type { Gpu } from '../src/gpu/gpu.ts';
import type { Plan } from '../src/gpu/plan.ts';
import { profile } from '../src/gpu/profile.ts';
import { fractionOfRoof, type Roof } from '../src/kernels/roof.ts';

/** What a plan's dispatches take on the GPU, without what is read back or waited for. */
export interface GpuFigures {
  milliseconds: number;
  /** Multiplications and additions that the dispatches say they do. */
  operations: number;
  /** As in `wgslim profile`: the time that the adapter's measured roof allows at least, through the time taken. */
  ofRoof: number;
  /**
   * Share of a training step that is not kernels: encoding, dispatching, the wait for its end. Of replays with timestamps,
   * which add some.
   */
  notKernels?: number;
}

/** Medians of a few replays with timestamps; undefined where the adapter has none, or too coarse ones. */
export async function gpuFigures(
  gpu: Gpu,
  plan: Plan,
  { roof, isStep = false }: { roof: Roof; isStep?: boolean },
): Promise<GpuFigures | undefined> {
  const measured = await profile(gpu, plan, { warmup: 1, repeats: isStep ? 15 : 3 });
  const { dispatches, gpuMicroseconds, gpuShare } = measured;
  if (!gpuMicroseconds) return undefined;
  let allowed = 0;
  let operations = 0;
  // Each dispatch against its own limit: one may be bound by arithmetic, the next by memory.
  for (const { work, bytes, microseconds = 0 } of dispatches) {
    allowed += fractionOfRoof(roof, work, bytes, microseconds) * microseconds;
    operations += (work.flops ?? 0) + (work.ops ?? 0);
  }
  const figures = { milliseconds: gpuMicroseconds / 1000, operations, ofRoof: allowed / gpuMicroseconds };
  return isStep && gpuShare !== undefined ? { ...figures, notKernels: 1 - gpuShare } : figures;
}
