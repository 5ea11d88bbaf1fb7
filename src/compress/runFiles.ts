import { encodeModel } from '../format/encodeModel.ts';
import { InputError } from '../graph/errors.ts';
import type { Graph } from '../graph/types.ts';
import type { Dataset } from '../train/data/dataset.ts';
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

export async function readRecord(storage: RunStorage): Promise<RunRecord | undefined> {
  const bytes = await storage.read(RECORD_FILE);
  if (!bytes) return undefined;
  try {
    const record = JSON.parse(new TextDecoder().decode(bytes)) as RunRecord;
    if (
      typeof record.fingerprint !== 'string' ||
      !Array.isArray(record.stages) ||
      typeof record.original?.top1 !== 'number'
    ) {
      throw new Error('fingerprint, original or stages is missing');
    }
    return record;
  } catch (error) {
    throw new InputError(`${RECORD_FILE} in the run folder cannot be read: ${(error as Error).message}`);
  }
}

/** SHA-256 over everything that the result depends on: two runs with one fingerprint end with the same bytes. */
export async function fingerprintOf(parts: {
  graph: Graph;
  recipe: Recipe;
  datasets: readonly Dataset[];
  preprocess: Preprocess;
  evaluation: Dataset;
}): Promise<string> {
  const describe = ({ name, split, size, sampleShape, classes }: Dataset) => ({
    name,
    split,
    size,
    sampleShape,
    classes,
  });
  const text = JSON.stringify({
    recipe: parts.recipe,
    datasets: parts.datasets.map(describe),
    evaluation: describe(parts.evaluation),
    preprocess: parts.preprocess,
  });
  const model = encodeModel(parts.graph, new Map());
  const described = new TextEncoder().encode(text);
  const bytes = new Uint8Array(model.length + described.length);
  bytes.set(model);
  bytes.set(described, model.length);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
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
