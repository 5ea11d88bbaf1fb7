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
  const timestamps = new Timestamps(plan);
  try {
    const started = performance.now();
    const commands = timestamps.encode();
    const encoded = performance.now();
    gpu.device.queue.submit([commands]);
    const submitted = performance.now();
    await gpu.idle();
    const done = performance.now();
    const timings = await timestamps.read();
    return { timings, cpu: { encode: encoded - started, submit: submitted - encoded, wait: done - submitted } };
  } finally {
    timestamps.dispose();
  }
}

/** GPU and wall time of several replays, in microseconds. */
export interface BlockTiming {
  /** Of all dispatches together. */
  gpu: number;
  /** From the beginning of the first replay's preparation until all are known to be done. */
  wall: number;
}

/**
 * Queues replays one after the other, as a training loop does, with timestamps around every dispatch, and waits for the
 * last. Undefined where the adapter has no timestamps.
 * @param prepare what belongs to a replay on the host, an upload, say
 */
export async function replayBlock(
  plan: Plan,
  replays: number,
  prepare?: (replay: number) => void,
): Promise<BlockTiming | undefined> {
  const { gpu } = plan;
  gpu.throwIfLost();
  if (!gpu.capabilities.timestamps) return undefined;
  const block = Array.from({ length: replays }, () => new Timestamps(plan));
  try {
    await gpu.idle();
    const started = performance.now();
    for (const [replay, timestamps] of block.entries()) {
      prepare?.(replay);
      gpu.device.queue.submit([timestamps.encode()]);
    }
    await gpu.idle();
    const wall = 1000 * (performance.now() - started);
    let sum = 0;
    for (const timestamps of block) {
      for (const { microseconds } of await timestamps.read()) sum += microseconds;
    }
    return { gpu: sum, wall };
  } finally {
    for (const timestamps of block) timestamps.dispose();
  }
}

/** Dispatches to a query set, which holds at most 4096 timestamps. */
const PER_SET = 2048;

/** What it takes to time the dispatches of one replay. */
class Timestamps {
  readonly #plan: Plan;
  readonly #count: number;
  readonly #sets: GPUQuerySet[];
  readonly #resolved: GPUBuffer;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#count = plan.dispatchCount;
    const { gpu } = plan;
    this.#sets = Array.from({ length: Math.ceil(this.#count / PER_SET) }, (_, index) =>
      gpu.device.createQuerySet({ type: 'timestamp', count: 2 * Math.min(PER_SET, this.#count - index * PER_SET) }),
    );
    this.#resolved = gpu.buffers.create(this.#count * 16, 'timestamps', USAGE.QUERY_RESOLVE | USAGE.COPY_SRC);
  }

  /** The plan's commands, each dispatch in a pass of its own. */
  encode(): GPUCommandBuffer {
    const encoder = this.#plan.gpu.device.createCommandEncoder({ label: `${this.#plan.label} (timed)` });
    let index = 0;
    for (const step of this.#plan.steps) {
      if (!('dispatches' in step)) {
        encodeTransfer(encoder, step);
        continue;
      }
      for (const dispatch of step.dispatches) {
        const querySet = this.#sets[Math.floor(index / PER_SET)]!;
        const at = 2 * (index % PER_SET);
        const pass = encoder.beginComputePass({
          timestampWrites: { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 },
        });
        encodeDispatch(pass, dispatch);
        pass.end();
        index++;
      }
    }
    for (const [i, set] of this.#sets.entries()) {
      encoder.resolveQuerySet(set, 0, set.count, this.#resolved, i * PER_SET * 16);
    }
    return encoder.finish();
  }

  async read(): Promise<DispatchTiming[]> {
    const size = this.#count * 16;
    const ticks = new BigInt64Array(await this.#plan.gpu.read({ buffer: this.#resolved, offset: 0, size }));
    const between = (from: number, to: number) => Number(ticks[to]! - ticks[from]!) / 1000;
    return this.#plan.dispatches.map(({ label, program }, i) => ({
      label,
      program,
      microseconds: between(2 * i, 2 * i + 1),
      begin: between(0, 2 * i),
    }));
  }

  dispose(): void {
    for (const set of this.#sets) set.destroy();
    this.#plan.gpu.buffers.destroy(this.#resolved);
  }
}
