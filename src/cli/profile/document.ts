/** A profile as plain data: what `wgslim profile --json` prints and what the page is drawn from. */

import type { DispatchProfile, Profile } from '../../gpu/profile.ts';
import type { CpuTimes } from '../../gpu/timing.ts';
import type { PrecisionChoice } from '../../kernels/precision.ts';
import { fractionOfRoof, type Roof } from '../../kernels/roof.ts';
import { formatPercent } from '../text.ts';
import type { Advice } from './advice.ts';
import type { Measured } from './measure.ts';

/** Figures of a dispatch, or of several together; null where dispatches could not be timed. */
export interface Figures {
  calls: number;
  ms: number | null;
  /** Of the time of all dispatches. */
  share: number | null;
  /** Arithmetic as the kernels declare it, and bytes of the ranges that they bind. */
  flops: number;
  ops: number;
  bytes: number;
  /** 10⁹ floating-point operations, integer operations and bytes per second. */
  gflops: number | null;
  gops: number | null;
  gbps: number | null;
  /** Of the adapter's measured roof: the time that it allows at least through the time taken. */
  ofRoof: number | null;
  /** What bounds clamps add to the time without them, as a fraction; only where that was measured. */
  clamping?: number;
}

export interface DispatchRow extends Figures {
  label: string;
  kernel: string;
  /** Bytes of temporaries in use while it runs. */
  liveBytes: number;
}

export interface PackedWeight {
  name: string;
  form: string;
  reason: string;
  /** On the GPU; of floats none are counted, they lie with the other parameters. */
  bytes: number;
}

export interface ProfileDocument {
  model: string;
  mode: 'inference' | 'training' | 'shader';
  batch: number;
  /** Of a shader that is profiled by itself. */
  shader?: {
    entry: string;
    workgroups: readonly [number, number, number];
    workgroupSize: readonly [number, number, number];
    workgroupBytes: number;
  };
  adapter: { name: string; kind: 'gpu' | 'cpu'; driver: string };
  /** Whether single dispatches were timed, or whole submissions only, and then why. */
  timing: Profile['timing'];
  note?: string;
  repeats: number;
  /** Sum of the dispatches' times. */
  gpuMs: number | null;
  /** The dispatches' times through the wall time of the same runs, those with timestamps. */
  gpuShare: number | null;
  /** Of plain runs queued one after the other. */
  wallMs: number;
  /** One plain replay that is waited for, one with timestamps, and what these add as a fraction. */
  singleWallMs: number;
  timedWallMs: number | null;
  overhead: number | null;
  /** Milliseconds of the CPU in a plain replay that is waited for. */
  cpu: CpuTimes;
  memory: { planned: number; unshared: number };
  /** Giga-operations and gigabytes per second. */
  roof: Roof;
  /** GPU times with bounds clamps and without, and what they add as a fraction; the least of several runs in turns. */
  robustness?: { clampedMs: number; freeMs: number; cost: number };
  /** What the kernels' texts say. */
  advice?: Advice[];
  /** What the products of inference were multiplied in, and why. */
  precision?: PrecisionChoice;
  /** Of a compressed file: in what form the weights of its layers lie on this adapter, and why. */
  weights?: PackedWeight[];
  /** By time, the widest first. */
  kernels: ({ kernel: string } & Figures)[];
  /** In the order of execution. */
  dispatches: DispatchRow[];
}

export interface ProfileSubject
  extends Pick<
    ProfileDocument,
    'model' | 'mode' | 'batch' | 'shader' | 'adapter' | 'memory' | 'advice' | 'weights' | 'precision'
  > {
  /** Bytes of temporaries in use, dispatch by dispatch. */
  live: readonly number[];
}

/** What was profiled, as a title. */
export function subjectTitle({ model, mode, batch, shader }: ProfileDocument): string {
  if (shader)
    return `Shader ${model}, ${shader.workgroups.join(' × ')} workgroups of ${shader.workgroupSize.join(' × ')}`;
  return `${mode === 'training' ? 'Training step' : 'Inference'} of ${model}, batch ${batch}`;
}

/** What timestamps add to a run. A run with them is never the quicker one: a negative overhead is noise. */
export function addedByTimestamps(overhead: number): string {
  return overhead > 0 ? formatPercent(overhead, 1) : 'nothing beyond noise';
}

export function profileDocument(subject: ProfileSubject, { profile, roof, clamping }: Measured): ProfileDocument {
  const { live, memory, advice, weights, precision, ...head } = subject;
  const all = profile.gpuMicroseconds;
  const { timedWallMicroseconds: timed, singleWallMicroseconds: single, wallMicroseconds: wall } = profile;
  const costs = clamping && clampingCosts(profile.dispatches, clamping);
  const kernels = [...groupBy(profile.dispatches, ({ program }) => program)];
  return {
    ...head,
    timing: profile.timing,
    ...(profile.reason && { note: profile.reason }),
    repeats: profile.repeats,
    gpuMs: all === undefined ? null : all / 1000,
    gpuShare: profile.gpuShare ?? null,
    wallMs: wall / 1000,
    singleWallMs: single / 1000,
    timedWallMs: timed === undefined ? null : timed / 1000,
    overhead: timed === undefined ? null : timed / single - 1,
    cpu: profile.cpu,
    memory,
    roof,
    ...(costs && { robustness: costs.whole }),
    ...(advice && { advice }),
    ...(precision && { precision }),
    ...(weights && { weights }),
    kernels: kernels
      .map(([kernel, dispatches]) => ({
        kernel,
        ...figures(dispatches, roof, all),
        ...(costs && { clamping: costs.ofKernel.get(kernel)! }),
      }))
      .sort((a, b) => (b.ms ?? 0) - (a.ms ?? 0) || b.flops - a.flops),
    dispatches: profile.dispatches.map((dispatch, i) => ({
      label: dispatch.label,
      kernel: dispatch.program,
      ...figures([dispatch], roof, all),
      ...(clamping && { clamping: clamping.clamped[i]! / Math.max(clamping.free[i]!, 1e-9) - 1 }),
      liveBytes: live[i] ?? 0,
    })),
  };
}

function clampingCosts(dispatches: readonly DispatchProfile[], { clamped, free }: NonNullable<Measured['clamping']>) {
  const sum = (indices: readonly number[], times: readonly number[]) => indices.reduce((all, i) => all + times[i]!, 0);
  const cost = (indices: readonly number[]) => sum(indices, clamped) / Math.max(sum(indices, free), 1e-9) - 1;
  const every = [...dispatches.keys()];
  const ofKernel = groupBy(every, (i) => dispatches[i]!.program);
  return {
    whole: { clampedMs: sum(every, clamped) / 1000, freeMs: sum(every, free) / 1000, cost: cost(every) },
    ofKernel: new Map([...ofKernel].map(([kernel, indices]) => [kernel, cost(indices)])),
  };
}

/** Figures of several dispatches as of one that does the work of all. */
function figures(dispatches: readonly DispatchProfile[], roof: Roof, all: number | undefined): Figures {
  const sum = (of: (dispatch: DispatchProfile) => number) => dispatches.reduce((total, one) => total + of(one), 0);
  const flops = sum(({ work }) => work.flops ?? 0);
  const ops = sum(({ work }) => work.ops ?? 0);
  const bytes = sum((dispatch) => dispatch.bytes);
  const work = { calls: dispatches.length, flops, ops, bytes };
  if (dispatches.some(({ microseconds }) => microseconds === undefined) || all === undefined) {
    return { ...work, ms: null, share: null, gflops: null, gops: null, gbps: null, ofRoof: null };
  }
  const time = sum(({ microseconds }) => microseconds as number);
  // Each dispatch against its own limit: one may be bound by arithmetic, the next by memory.
  const allowed = sum(
    ({ work, bytes, microseconds }) =>
      fractionOfRoof(roof, work, bytes, microseconds as number) * (microseconds as number),
  );
  const rate = (amount: number) => (time > 0 ? amount / time / 1000 : 0);
  return {
    ...work,
    ms: time / 1000,
    share: all > 0 ? time / all : 0,
    gflops: rate(flops),
    gops: rate(ops),
    gbps: rate(bytes),
    ofRoof: time > 0 ? allowed / time : 0,
  };
}

export function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
