import * as v from 'valibot';
import { concatBytes } from '../format/bytes.ts';
import { encodeModel } from '../format/encodeModel.ts';
import { InputError } from '../graph/errors.ts';
import type { Graph } from '../graph/types.ts';
import { allocateSamples, type Dataset } from '../train/data/dataset.ts';
import type { Preprocess } from '../train/data/preprocess.ts';
import type { StepMetrics } from '../train/trainer.ts';
import type { Recipe } from './recipe.ts';
import type { StageResult } from './result.ts';
import type { RunStorage } from './storage.ts';

export const RECORD_FILE = 'result.json';
export const CHECKPOINT_FILE = 'checkpoint.safetensors';
export const LOG_FILE = 'log.jsonl';

/** The trained state after a stage, from which the next one starts. */
export function stateFile(index: number): string {
  return `state-${index + 1}.safetensors`;
}

/** The compressed file after a stage. */
export function stageFile(index: number, name: string): string {
  return `stage-${index + 1}-${name.replace(/[^\w.-]+/g, '_')}.wgslim`;
}

/** What a run has achieved so far: `result.json`. */
export interface RunRecord {
  fingerprint: string;
  original: { top1: number; top5: number; loss: number };
  stages: StageResult[];
}

/** JSON has no NaN: the loss of a network that fell apart is written as null. */
const measured = v.union([
  v.number(),
  v.pipe(
    v.null(),
    v.transform(() => Number.NaN),
  ),
]);
const recordSchema = v.object({
  fingerprint: v.string(),
  original: v.object({ top1: v.number(), top5: v.number(), loss: measured }),
  stages: v.array(
    v.object({
      name: v.string(),
      kind: v.picklist(['prune', 'quantize', 'train']),
      top1: v.number(),
      top5: v.number(),
      loss: measured,
      sparsity: v.number(),
      bits: v.number(),
      bytes: v.number(),
      seconds: v.number(),
    }),
  ),
});

/** @throws InputError where there is a record that cannot be read */
export async function readRecord(storage: RunStorage): Promise<RunRecord | undefined> {
  const bytes = await storage.read(RECORD_FILE);
  if (!bytes) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new InputError(`${RECORD_FILE} in the run folder is not JSON: start afresh`);
  }
  const result = v.safeParse(recordSchema, json);
  if (!result.success) {
    const path = v.getDotPath(result.issues[0]);
    throw new InputError(
      `${RECORD_FILE} in the run folder cannot be read (${path ?? 'the whole'} is not as a run writes it): start afresh`,
    );
  }
  return result.output;
}

const FINGERPRINT_SAMPLES = 16;

/** Some samples and their labels, from all over the set: enough to tell it from another. */
async function describeData(dataset: Dataset): Promise<{ text: unknown; bytes: Uint8Array[] }> {
  const { name, split, size, sampleShape, classes } = dataset;
  const count = Math.min(FINGERPRINT_SAMPLES, size);
  const indices = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * size) / count));
  const samples = allocateSamples(dataset, count);
  const labels = new Uint32Array(count);
  await dataset.read(indices, samples, labels);
  const bytes = [samples, labels].map((data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return { text: { name, split, size, sampleShape, classes }, bytes };
}

/**
 * SHA-256 over everything that the result depends on (of the data some samples): two runs with one fingerprint end with
 * the same bytes.
 */
export async function fingerprintOf(parts: {
  graph: Graph;
  recipe: Recipe;
  datasets: readonly Dataset[];
  preprocess: Preprocess;
  evaluation: Dataset;
}): Promise<string> {
  const described: Awaited<ReturnType<typeof describeData>>[] = [];
  for (const dataset of [...parts.datasets, parts.evaluation]) described.push(await describeData(dataset));
  const text = JSON.stringify({
    recipe: parts.recipe,
    data: described.map((one) => one.text),
    preprocess: parts.preprocess,
  });
  const bytes = concatBytes(
    encodeModel(parts.graph, new Map()),
    new TextEncoder().encode(text),
    ...described.flatMap((one) => one.bytes),
  );
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

interface LogLine extends StepMetrics {
  stage: number;
  name: string;
}

/** `log.jsonl`: a line for every training step, in order, also across a kill and a resume. */
export class RunLog {
  readonly #storage: RunStorage;
  #pending = '';
  #existing: string[];
  #trimmed = false;

  private constructor(storage: RunStorage, existing: string[]) {
    this.#storage = storage;
    this.#existing = existing;
  }

  static async open(storage: RunStorage, keep: boolean): Promise<RunLog> {
    const bytes = keep ? await storage.read(LOG_FILE) : undefined;
    return new RunLog(storage, bytes ? new TextDecoder().decode(bytes).split('\n') : []);
  }

  /** Drops the lines of steps that will be done again: those of stage `stage` from `step` on, and a torn last line. */
  async keepUntil(stage: number, step: number): Promise<void> {
    if (this.#trimmed) return; // later stages only append
    this.#trimmed = true;
    const kept = this.#existing.filter((text) => {
      try {
        const line = JSON.parse(text) as LogLine;
        return line.stage < stage || (line.stage === stage && line.step < step);
      } catch {
        return false;
      }
    });
    const changed = kept.length !== this.#existing.filter((text) => text !== '').length || this.#existing.at(-1) !== '';
    this.#existing = [];
    if (changed)
      await this.#storage.write(LOG_FILE, new TextEncoder().encode(kept.map((line) => `${line}\n`).join('')));
  }

  async add(stage: number, name: string, metrics: readonly StepMetrics[]): Promise<void> {
    for (const { step, loss, top1 } of metrics)
      this.#pending += `${JSON.stringify({ stage, name, step, loss, top1 })}\n`;
    if (this.#pending.length > 4096) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    await this.#storage.append(LOG_FILE, text);
  }
}
