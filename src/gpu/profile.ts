import type { BufferSlice } from './buffers.ts';
import type { Gpu } from './gpu.ts';
import type { DispatchInfo, Plan } from './plan.ts';
import { type CpuTimes, type DispatchTiming, replayMeasured, replayTraced } from './timing.ts';

export interface ProfileOptions {
  /** Replays before the first that counts: drivers compile at the first use, and caches fill. */
  warmup?: number;
  /** Timed replays, and plain ones in turns with them. */
  repeats?: number;
  onProgress?: (done: number, total: number) => void;
}

/** One dispatch of a profiled plan. */
export interface DispatchProfile extends Omit<DispatchInfo, 'storage'> {
  /** Sizes of the distinct ranges that it binds, each counted once: what it moves at least if it touches all of them. */
  readonly bytes: number;
  /** Median GPU time; undefined where single dispatches could not be timed. */
  microseconds: number | undefined;
}

export interface Profile {
  /** `dispatch`: by timestamps around each dispatch. `submission`: the wall time of whole replays is all there is. */
  timing: 'dispatch' | 'submission';
  /** Why no dispatch was timed, as a sentence. */
  reason: string | undefined;
  repeats: number;
  dispatches: DispatchProfile[];
  /** Sum of the dispatches' medians, µs; undefined where they were not timed. */
  gpuMicroseconds: number | undefined;
  /**
   * GPU times of the dispatches through the wall time of the same replay, from its encoding until it is known to be done:
   * the median over replays. (Not `gpuMicroseconds` through a wall time: a median per dispatch leaves out interruptions
   * that a whole replay rarely escapes.)
   */
  gpuShare: number | undefined;
  /** Median wall time of a plain replay, µs: of several queued at once where one is short, as a training loop runs them. */
  wallMicroseconds: number;
  /** Median wall time of a replay with timestamps, µs. */
  timedWallMicroseconds: number | undefined;
  /** Median wall time of one plain replay that is waited for, µs: what `timedWallMicroseconds` compares with. */
  singleWallMicroseconds: number;
  /** CPU's part of a plain replay that is waited for, medians, ms. */
  cpu: CpuTimes;
  /** The timed replay whose total is the median, for a trace. */
  trace: { timings: DispatchTiming[]; cpu: CpuTimes } | undefined;
}

/** Plain replays are queued until they take about this long, ms, so that one round trip weighs little. */
const SAMPLE = 20;
const MOST_QUEUED = 64;

/**
 * Measures a plan: GPU time per dispatch (median over replays with timestamps) beside the wall time of plain replays.
 * The plan runs with whatever its buffers hold, (warmup + repeats) times at least.
 */
export async function profile(gpu: Gpu, plan: Plan, options: ProfileOptions = {}): Promise<Profile> {
  const { warmup = 3, repeats = 15 } = options;
  if (!(Number.isInteger(repeats) && repeats > 0)) throw new RangeError(`repeats is ${repeats}, not a positive number`);
  for (let i = 0; i < warmup; i++) await replayMeasured(plan);
  if (warmup > 0) await replayTraced(plan);
  const queued = Math.max(1, Math.min(MOST_QUEUED, Math.ceil(SAMPLE / total(await replayMeasured(plan)))));
  const singles: CpuTimes[] = [];
  const walls: number[] = [];
  const traces: { timings: DispatchTiming[]; cpu: CpuTimes }[] = [];
  for (let i = 0; i < repeats; i++) {
    // In turns, so that whatever else the machine does weighs on all alike.
    singles.push(await replayMeasured(plan));
    const started = performance.now();
    for (let j = 0; j < queued; j++) plan.replay();
    await gpu.idle();
    walls.push((performance.now() - started) / queued);
    const trace = await replayTraced(plan);
    if (trace) traces.push(trace);
    options.onProgress?.(i + 1, repeats);
  }
  const reason = whyUntimed(gpu, traces);
  const dispatches = plan.dispatches.map((dispatch, i): DispatchProfile => {
    const { label, program, work, storage, workgroups, source } = dispatch;
    const bytes = boundBytes(storage);
    const times = traces.map(({ timings }) => timings[i]!.microseconds);
    return {
      label,
      program,
      work,
      bytes,
      workgroups,
      source,
      microseconds: reason === undefined ? median(times) : undefined,
    };
  });
  const byTotal = [...traces].sort((a, b) => gpuTotal(a.timings) - gpuTotal(b.timings));
  return {
    timing: reason === undefined ? 'dispatch' : 'submission',
    reason,
    repeats,
    dispatches,
    gpuMicroseconds:
      reason === undefined ? dispatches.reduce((sum, { microseconds }) => sum + (microseconds ?? 0), 0) : undefined,
    gpuShare:
      reason === undefined
        ? median(traces.map(({ timings, cpu }) => gpuTotal(timings) / 1000 / total(cpu)))
        : undefined,
    wallMicroseconds: 1000 * median(walls),
    timedWallMicroseconds: traces.length > 0 ? 1000 * median(traces.map(({ cpu }) => total(cpu))) : undefined,
    singleWallMicroseconds: 1000 * median(singles.map(total)),
    cpu: {
      encode: median(singles.map(({ encode }) => encode)),
      submit: median(singles.map(({ submit }) => submit)),
      wait: median(singles.map(({ wait }) => wait)),
    },
    trace: reason === undefined ? byTotal[byTotal.length >> 1] : undefined,
  };
}

function whyUntimed(gpu: Gpu, traces: readonly { timings: readonly DispatchTiming[] }[]): string | undefined {
  if (!gpu.capabilities.timestamps) {
    return 'This adapter has no timestamps (timestamp-query), so only whole submissions were timed';
  }
  const times = traces.flatMap(({ timings }) => timings.map(({ microseconds }) => microseconds));
  if (times.length === 0) return 'The plan has no dispatches to time';
  const tick = timestampTick(times);
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  if (mean > 0 && tick <= mean * COARSE) return undefined;
  return `This adapter's timestamps advance in steps of ${tick} µs, too coarse for dispatches of ${mean.toFixed(1)} µs on average, so only whole submissions were timed`;
}

/** A tick beyond this share of the mean dispatch says more about the clock than about the kernels. */
const COARSE = 0.25;

/** The largest step, µs, that all times are multiples of (to the nanosecond): 65.536 or 100 where a browser rounds. */
export function timestampTick(microseconds: readonly number[]): number {
  let tick = 0;
  for (const time of microseconds) {
    let [a, b] = [tick, Math.abs(Math.round(1000 * time))];
    while (b > 0) [a, b] = [b, a % b];
    tick = a;
  }
  return tick / 1000;
}

function total({ encode, submit, wait }: CpuTimes): number {
  return encode + submit + wait;
}

function gpuTotal(timings: readonly DispatchTiming[]): number {
  return timings.reduce((sum, { microseconds }) => sum + microseconds, 0);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Bytes of what a dispatch binds; one range bound twice (an absent bias, say) moves once. */
export function boundBytes(slices: readonly BufferSlice[]): number {
  const isRepeated = ({ buffer, offset, size }: BufferSlice, others: readonly BufferSlice[]) =>
    others.some((other) => other.buffer === buffer && other.offset === offset && other.size === size);
  return slices.reduce((sum, slice, i) => (isRepeated(slice, slices.slice(0, i)) ? sum : sum + slice.size), 0);
}
