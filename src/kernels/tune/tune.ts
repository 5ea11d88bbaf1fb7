/** Tuning: which choices a piece of work asks for, and the fastest right variant for each, within a time. */
import type { TunedChoices } from '../../gpu/capabilities.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import type { Adapter } from './candidates.ts';
import { type TuneResult, type TuneSubject, tuneSubject } from './measure.ts';
import { subjectOf, workOf } from './subjects.ts';
import { keyOf } from './variants.ts';

/** Leaves all to the rules, and remembers what was asked for: record a network with it to learn its choices. */
export class ChoiceListener implements TunedChoices {
  readonly #asked = new Map<string, number>();

  choose(kernel: string, _adapter: Adapter, shape: object): undefined {
    const key = keyOf(kernel, shape);
    if (key !== undefined) this.#asked.set(key, (this.#asked.get(key) ?? 0) + 1);
  }

  /** How often each choice was asked for, by its key. */
  get asked(): ReadonlyMap<string, number> {
    return this.#asked;
  }
}

export interface TuneOptions {
  /** Ends after about so long; a variant that is being compiled is waited for. Default 60. */
  seconds?: number;
  /** Timed runs of each variant. */
  rounds?: number;
  onProgress?: (state: { done: number; total: number; key: string }) => void;
  signal?: AbortSignal | undefined;
  /** In place of what is built in: subjects by key. */
  subjectOf?: (key: string) => TuneSubject | undefined;
}

export interface TuneReport {
  results: TuneResult[];
  /** Choices with one variant or of kernels that cannot be measured alone: nothing to find out. */
  skipped: string[];
  /** Choices for which no time was left. */
  left: string[];
}

/**
 * Measures the choices, those with the most work first, and returns what was found; `tableOf` makes a table of it. Runs
 * with no table, whatever the device uses otherwise.
 */
export async function tune(
  gpu: Gpu,
  asked: ReadonlyMap<string, number>,
  options: TuneOptions = {},
): Promise<TuneReport> {
  const { seconds = 60, rounds, onProgress, signal } = options;
  const find = options.subjectOf ?? ((key) => subjectOf(key, gpu.capabilities));
  const end = performance.now() + 1000 * seconds;
  const isOver = () => performance.now() >= end || signal?.aborted === true;
  const report: TuneReport = { results: [], skipped: [], left: [] };
  const weight = (key: string) => workOf(key) * (asked.get(key) ?? 1);
  const keys = [...asked.keys()].sort((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1));
  const subjects = keys.map((key) => ({ key, subject: find(key) }));
  for (const { key, subject } of subjects) if (!subject || subject.candidates.length < 2) report.skipped.push(key);
  const open = subjects.filter(({ key }) => !report.skipped.includes(key));
  for (const [done, { key, subject }] of open.entries()) {
    if (isOver()) {
      report.left.push(key);
      continue;
    }
    onProgress?.({ done, total: open.length, key });
    // Another one than in the list, so that the weights which it makes do not outlive it.
    const measured = await tuneSubject(gpu, find(key)!, {
      isOver,
      ...(rounds !== undefined && { rounds }),
    });
    // The time ran out in the middle; what was found wrong by then is worth telling all the same.
    const isUnfinished = measured.best === undefined && measured.excluded.length < subject!.candidates.length;
    if (isUnfinished) report.left.push(key);
    if (!isUnfinished || measured.excluded.length > 0) report.results.push(measured);
  }
  onProgress?.({ done: open.length - report.left.length, total: open.length, key: '' });
  return report;
}

/** Entries for a table: the best variant of every choice that was measured, the rule's own included. */
export function tableOf(results: readonly TuneResult[]): Map<string, string> {
  return new Map(results.flatMap(({ key, best }) => (best === undefined ? [] : [[key, best] as const])));
}
