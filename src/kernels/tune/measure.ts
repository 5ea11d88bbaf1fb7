/** Measures the variants of one choice, and lets only those win that compute what they should. */

import type { Precision } from '../../gpu/capabilities.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import type { Plan } from '../../gpu/plan.ts';
import { median } from '../../gpu/profile.ts';
import { replayTimed } from '../../gpu/timing.ts';
import { type BufferOperand, DirectRecorder } from '../direct.ts';
import type { Operand, Recorder } from '../kernel.ts';
import { seededValues, worstDifference } from './values.ts';
import { tunedChoices } from './variants.ts';

/** A kernel at one shape, with its variants. */
export interface TuneSubject {
  key: string;
  /** Ids of variants, the rule's choice first. */
  candidates: readonly string[];
  /** Lengths of the inputs, which are filled with random numbers, and of the result. */
  inputs: readonly number[];
  outputs: number;
  /** What the kernel reads as words: packed weights, codes of activations. Made where the subject is measured. */
  words?(): readonly Uint32Array[];
  /** Records the kernel as networks do; the recorder's choices are the variant `id` at this key. */
  record(
    recorder: Recorder,
    inputs: readonly Operand<'f32'>[],
    out: Operand<'f32'>,
    id: string,
    words: readonly Operand<'u32'>[],
  ): void;
  /** One element of the result in float64, to judge by, for some elements. */
  expected(inputs: readonly Float32Array[], index: number, words: readonly Uint32Array[]): number;
  /** What variants may multiply in; float32 by default. */
  precision?: Precision;
  /**
   * The largest difference that passes for a variant, relative to the largest element. Default 1e-4: sums of float32 in
   * another order.
   */
  toleranceOf?(id: string): number;
}

export interface TuneResult {
  key: string;
  /** What the rule takes. */
  rule: string;
  /** The fastest of those that are right; undefined where none is. */
  best: string | undefined;
  /** Median µs of those that were measured to the end. */
  microseconds: Map<string, number>;
  /** Too slow after the first runs. */
  stopped: string[];
  /** Variants that gave wrong results or did not run, and why, as a sentence. */
  excluded: { id: string; why: string }[];
}

export interface MeasureOptions {
  /** Timed runs of each variant that is not stopped before. */
  rounds?: number;
  /** Called between runs; true ends the measurement with what is known. */
  isOver?: () => boolean;
}

/** Slower than this after two runs, compared by the least time, has no hope. */
const HOPELESS = 1.4;
/** A gain below this is noise, and the rule keeps its choice. */
const LEAST_GAIN = 0.03;
/** Of the duel between the fastest and the rule's choice. */
const LEAST_WINS = 0.8;
/** How many elements of a result are computed again in float64. */
const SAMPLES = 48;

interface Runner {
  id: string;
  plan: Plan;
  times: number[];
}

export async function tuneSubject(gpu: Gpu, subject: TuneSubject, options: MeasureOptions = {}): Promise<TuneResult> {
  const { rounds = 7, isOver = () => false } = options;
  const direct = new DirectRecorder(gpu);
  const result: TuneResult = {
    key: subject.key,
    rule: subject.candidates[0]!,
    best: undefined,
    microseconds: new Map(),
    stopped: [],
    excluded: [],
  };
  const runners: Runner[] = [];
  try {
    const host = subject.inputs.map((length, i) => seededValues(i + 1, length));
    const words = subject.words?.() ?? [];
    const inputs = {
      floats: host.map((values) => direct.upload('f32', values)),
      words: words.map((values) => direct.upload('u32', values)),
    };
    const out = direct.temporary('f32', subject.outputs, 'result');
    const judge = judgeOf(subject, host, words);
    for (const id of subject.candidates) {
      if (isOver() && runners.length > 0) break;
      const made = await tryVariant(gpu, direct, subject, id, inputs, out);
      const why = 'why' in made ? made.why : judge(id, made.values);
      if (why !== undefined) {
        if ('plan' in made) made.plan.dispose();
        result.excluded.push({ id, why });
      } else if ('plan' in made) {
        runners.push({ id, plan: made.plan, times: [] });
      }
    }
    await race(gpu, runners, { rounds, isOver }, result);
    await choose(gpu, runners, { rounds, isOver }, result);
    return result;
  } finally {
    for (const { plan } of runners) plan.dispose();
    direct.dispose();
  }
}

/** Compiles and runs a variant once; the driver compiles at the first run, which must not count. */
async function tryVariant(
  gpu: Gpu,
  direct: DirectRecorder,
  subject: TuneSubject,
  id: string,
  inputs: { floats: readonly Operand<'f32'>[]; words: readonly Operand<'u32'>[] },
  out: BufferOperand<'f32'>,
): Promise<{ plan: Plan; values: Float32Array } | { why: string }> {
  try {
    const tuned = tunedChoices(new Map([[subject.key, id]]));
    const recorder: Recorder = {
      capabilities: { ...gpu.capabilities, tuned, precision: subject.precision },
      dispatch: (shader, call) => direct.dispatch(shader, call),
      temporary: (dtype, elements, label) => direct.temporary(dtype, elements, label),
    };
    subject.record(recorder, inputs.floats, out, id, inputs.words);
    const plan = await direct.compile(`${subject.key}: ${id}`);
    // What a variant does not write must not pass for its result.
    gpu.write(out.slice, new Float32Array(subject.outputs).fill(Number.NaN));
    plan.replay();
    return { plan, values: await direct.read(out) };
  } catch (error) {
    if (gpu.isLost) throw error;
    return { why: `it does not run: ${(error as Error).message}` };
  } finally {
    direct.clear();
  }
}

/**
 * Against float64 at some elements, the first and the last among them, and at all elements against the first variant
 * that passes that.
 */
function judgeOf(
  subject: TuneSubject,
  host: readonly Float32Array[],
  words: readonly Uint32Array[],
): (id: string, values: Float32Array) => string | undefined {
  const { outputs, toleranceOf = () => 1e-4 } = subject;
  const indices = Array.from({ length: Math.min(SAMPLES, outputs) }, (_, i) =>
    Math.round((i * (outputs - 1)) / Math.max(1, Math.min(SAMPLES, outputs) - 1)),
  );
  let expected: number[] | undefined;
  let reference: { values: Float32Array; tolerance: number } | undefined;
  return (id, values) => {
    const tolerance = toleranceOf(id);
    expected ??= indices.map((index) => subject.expected(host, index, words));
    const scale = Math.max(...expected.map(Math.abs), 1e-30);
    const sampled = Math.max(...indices.map((index, i) => distance(values[index]!, expected![i]!))) / scale;
    if (!(sampled <= tolerance)) return `its result is ${percent(sampled)} away from float64's at some elements`;
    if (!reference) {
      reference = { values, tolerance };
      return undefined;
    }
    const { worst, index } = worstDifference(values, reference.values);
    if (worst <= Math.max(tolerance, reference.tolerance)) return undefined;
    return `its result differs from the reference by ${percent(worst)} of the largest element, at element ${index}`;
  };
}

/** Variants in turns, so that what else the machine does weighs on all alike. */
async function race(
  gpu: Gpu,
  runners: readonly Runner[],
  { rounds, isOver }: Required<MeasureOptions>,
  result: TuneResult,
): Promise<void> {
  let running = [...runners];
  for (let round = 0; round < rounds && running.length > 1; round++) {
    for (const runner of running) {
      if (isOver() && round > 0) return;
      runner.times.push(await timeOf(gpu, runner.plan));
    }
    const least = (runner: Runner) => Math.min(...runner.times);
    const best = Math.min(...running.map(least));
    if (round === 0) continue;
    running = running.filter((runner) => {
      // The rule's own choice is measured to the end: it is what the others are compared with.
      const stays = runner.id === result.rule || least(runner) <= HOPELESS * best;
      if (!stays) result.stopped.push(runner.id);
      return stays;
    });
  }
  for (const { id, times } of running) if (times.length > 0) result.microseconds.set(id, median(times));
}

async function timeOf(gpu: Gpu, plan: Plan): Promise<number> {
  const timings = await replayTimed(plan);
  if (timings) return timings.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const started = performance.now();
  plan.replay();
  await gpu.idle();
  return 1000 * (performance.now() - started);
}

/** The fastest by median, if it beats the rule's choice again in a duel. */
async function choose(
  gpu: Gpu,
  runners: readonly Runner[],
  options: Required<MeasureOptions>,
  result: TuneResult,
): Promise<void> {
  const { microseconds, rule } = result;
  if (runners.length === 1) result.best = runners[0]!.id;
  const [fastest] = [...microseconds].sort((a, b) => a[1] - b[1]);
  if (!fastest) return;
  const byId = (id: string) => runners.find((runner) => runner.id === id);
  const [champion, challenger] = [byId(rule), byId(fastest[0])];
  if (!champion || !challenger || !microseconds.has(rule)) {
    result.best = fastest[0];
  } else {
    const isNear = fastest[1] > (1 - LEAST_GAIN) * microseconds.get(rule)!;
    result.best = !isNear && (await beats(gpu, challenger, champion, options)) ? challenger.id : champion.id;
  }
}

/**
 * Pairs of runs, in turns first and second. On a busy machine a median of few runs is off by more than variants differ;
 * of neighbours in time one is faster or not, and 12 of 15 by chance happens once in sixty times.
 */
async function beats(
  gpu: Gpu,
  challenger: Runner,
  champion: Runner,
  { rounds, isOver }: Required<MeasureOptions>,
): Promise<boolean> {
  const ratios: number[] = [];
  for (let pair = 0; pair < 2 * rounds + 1; pair++) {
    if (isOver()) return false;
    const order = pair % 2 === 0 ? [challenger, champion] : [champion, challenger];
    const times = new Map<Runner, number>();
    for (const runner of order) times.set(runner, await timeOf(gpu, runner.plan));
    ratios.push(times.get(challenger)! / times.get(champion)!);
  }
  const wins = ratios.filter((ratio) => ratio < 1).length;
  return wins >= LEAST_WINS * ratios.length && median(ratios) <= 1 - LEAST_GAIN;
}

function distance(a: number, b: number): number {
  const difference = Math.abs(a - b);
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
}

function percent(fraction: number): string {
  return Number.isFinite(fraction) ? `${(100 * fraction).toPrecision(2)} %` : 'NaN or infinity';
}
