/** Runs a subject on the adapter, and where that is asked for on another device of it that does not clamp indices. */
import { constants, setPriority } from 'node:os';
import type { Gpu } from '../../gpu/gpu.ts';
import type { Plan } from '../../gpu/plan.ts';
import { type Profile, profile } from '../../gpu/profile.ts';
import type { Roof } from '../../kernels/roof.ts';
import { cachedRoof } from '../../kernels/roofCache.node.ts';
import type { GpuFlags } from '../flags.ts';
import { openAdapter, useTunedChoices, withGpu } from '../gpu.ts';
import { createProgress } from '../progress.ts';

export interface Subject {
  plan: Plan;
  memory: { planned: number; unshared: number };
  live: readonly number[];
  dispose(): void;
}

export interface MeasureFlags extends GpuFlags {
  repeat: number;
  freshRoof?: boolean;
  robustness?: boolean;
}

export interface Measured {
  profile: Profile;
  roof: Roof;
  /** GPU times with and without bounds clamps, µs, dispatch by dispatch; undefined where they were not timed. */
  clamping?: { clamped: number[]; free: number[] } | undefined;
}

/** In turns, so that what else the machine does weighs on both; the least of the medians counts. */
const ROUNDS = 2;

/** Opens the adapter, compiles, measures and hands over what was found while all of it still exists. */
export async function measure<S extends Subject, T>(
  flags: MeasureFlags,
  prepared: (gpu: Gpu) => Promise<S>,
  use: (subject: S, measured: Measured, gpu: Gpu) => Promise<T>,
): Promise<T> {
  if (!flags.robustness) {
    return withGpu(flags, (gpu) => measureOn(flags, gpu, undefined, prepared, use));
  }
  // The second device's workers would inherit the low priority that the first one's opening leaves.
  const options = { keepPriority: true };
  const { gpu } = await openAdapter(flags, options);
  useTunedChoices(gpu);
  try {
    const { gpu: free } = await openAdapter({ ...flags, quiet: true }, { ...options, disableRobustness: true });
    useTunedChoices(free);
    try {
      if (gpu.capabilities.kind === 'cpu') setPriority(0, constants.priority.PRIORITY_LOW);
      return await measureOn(flags, gpu, free, prepared, use);
    } finally {
      free.destroy();
    }
  } finally {
    gpu.destroy();
  }
}

async function measureOn<S extends Subject, T>(
  flags: MeasureFlags,
  gpu: Gpu,
  free: Gpu | undefined,
  prepared: (gpu: Gpu) => Promise<S>,
  use: (subject: S, measured: Measured, gpu: Gpu) => Promise<T>,
): Promise<T> {
  const subject = await prepared(gpu);
  try {
    const { roof } = await cachedRoof(gpu, { fresh: flags.freshRoof === true });
    const progress = createProgress(flags);
    const run = (on: Gpu, plan: Plan, label: string) =>
      profile(on, plan, {
        repeats: flags.repeat,
        onProgress: (done, total) => progress.update({ label, done, total }),
      }).finally(() => progress.stop());
    const first = await run(gpu, subject.plan, 'profile');
    let clamping: Measured['clamping'];
    if (free) {
      const other = await prepared(free);
      try {
        const clamped = [first];
        const unclamped: Profile[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          unclamped.push(await run(free, other.plan, 'profile without clamps'));
          if (round > 0) clamped.push(await run(gpu, subject.plan, 'profile again'));
        }
        clamping = leastTimes(clamped, unclamped);
      } finally {
        other.dispose();
      }
    }
    return await use(subject, { profile: first, roof, clamping }, gpu);
  } finally {
    subject.dispose();
  }
}

function leastTimes(clamped: readonly Profile[], free: readonly Profile[]): Measured['clamping'] {
  const isTimed = [...clamped, ...free].every(({ timing }) => timing === 'dispatch');
  if (!isTimed) return undefined;
  const least = (profiles: readonly Profile[]) =>
    profiles[0]!.dispatches.map((_, i) =>
      Math.min(...profiles.map(({ dispatches }) => dispatches[i]!.microseconds as number)),
    );
  return { clamped: least(clamped), free: least(free) };
}
