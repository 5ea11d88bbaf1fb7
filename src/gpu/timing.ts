/** Replays of a plan that say what time goes into; apart from `Plan`, so that pages do without. */
import { USAGE } from './buffers.ts';
import { encodeDispatch, encodeTransfer, type Plan } from './plan.ts';

/** GPU time of one dispatch, from timestamps around its own pass. */
export interface DispatchTiming {
  label: string;
  program: string;
  microseconds: number;
  /** Since the first dispatch of the plan began. */
  begin: number;
}

/** What the CPU did for one replay, in milliseconds: commands encoded, handed to the queue, waited for. */
export interface CpuTimes {
  encode: number;
  submit: number;
  wait: number;
}

/** As `plan.replay`, but waits, and says what the CPU's time went into. */
export async function replayMeasured(plan: Plan): Promise<CpuTimes> {
  const times: CpuTimes = { encode: 0, submit: 0, wait: 0 };
  let mark = performance.now();
  const lap = (kind: keyof CpuTimes) => {
    const now = performance.now();
    times[kind] += now - mark;
    mark = now;
  };
  for (const buffer of plan.encode()) {
    lap('encode');
    plan.gpu.device.queue.submit([buffer]);
    lap('submit');
  }
  await plan.gpu.idle();
  lap('wait');
  return times;
}

/**
 * Runs the plan once with a timestamp around every dispatch (a pass of its own each, so slower than `replay`).
 * Undefined where the adapter has no timestamps.
 */
export async function replayTimed(plan: Plan): Promise<DispatchTiming[] | undefined> {
  return (await replayTraced(plan))?.timings;
}

/** As `replayTimed`, with the CPU's part of that replay. */
export async function replayTraced(plan: Plan): Promise<{ timings: DispatchTiming[]; cpu: CpuTimes } | undefined> {
  const { gpu } = plan;
  gpu.throwIfLost();
  if (!gpu.capabilities.timestamps) return undefined;
  const timings: DispatchTiming[] = [];
  const dispatches = plan.dispatchCount;
  const perSet = 2048; // a query set holds at most 4096 timestamps
  const sets = Array.from({ length: Math.ceil(dispatches / perSet) }, (_, index) =>
    gpu.device.createQuerySet({ type: 'timestamp', count: 2 * Math.min(perSet, dispatches - index * perSet) }),
  );
  const resolved = gpu.buffers.create(
    dispatches * 16 + 256 * sets.length,
    'timestamps',
    USAGE.QUERY_RESOLVE | USAGE.COPY_SRC,
  );
  try {
    const started = performance.now();
    const encoder = gpu.device.createCommandEncoder({ label: `${plan.label} (timed)` });
    let index = 0;
    for (const step of plan.steps) {
      if (!('dispatches' in step)) {
        encodeTransfer(encoder, step);
        continue;
      }
      for (const dispatch of step.dispatches) {
        const querySet = sets[Math.floor(index / perSet)];
        const at = 2 * (index % perSet);
        const pass = encoder.beginComputePass({
          timestampWrites: { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 },
        });
        encodeDispatch(pass, dispatch);
        pass.end();
        timings.push({ label: dispatch.label, program: dispatch.program, microseconds: 0, begin: 0 });
        index++;
      }
    }
    sets.forEach((set, i) => {
      encoder.resolveQuerySet(set, 0, set.count, resolved, i * perSet * 16);
    });
    const commands = encoder.finish();
    const encoded = performance.now();
    gpu.device.queue.submit([commands]);
    const submitted = performance.now();
    await gpu.idle();
    const done = performance.now();
    const ticks = new BigInt64Array(await gpu.read({ buffer: resolved, offset: 0, size: dispatches * 16 }));
    timings.forEach((timing, i) => {
      timing.microseconds = Number(ticks[2 * i + 1] - ticks[2 * i]) / 1000;
      timing.begin = Number(ticks[2 * i] - ticks[0]) / 1000;
    });
    return { timings, cpu: { encode: encoded - started, submit: submitted - encoded, wait: done - submitted } };
  } finally {
    for (const set of sets) set.destroy();
    gpu.buffers.destroy(resolved);
  }
}
