import { prepareGraph } from '../engine/prepare.ts';
import { decodeModel } from '../format/decodeModel.ts';
import { describeModel } from '../format/describeModel.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { InputError } from '../graph/errors.ts';
import type { Graph } from '../graph/types.ts';
import type { Dataset } from '../train/data/dataset.ts';
import { type Preprocess, preprocessToJson } from '../train/data/preprocess.ts';
import { permutation } from '../train/data/shuffle.ts';
import { subset } from '../train/data/split.ts';
import { type Evaluation, evaluate } from '../train/evaluate.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts';
import { deployToBytes } from './deploy.ts';
import type { Recipe, Stage } from './recipe.ts';
import type { StageData } from './recipeFields.ts';
import type { CompressResult, StageResult } from './result.ts';
import {
  CHECKPOINT_FILE,
  fingerprintOf,
  RECORD_FILE,
  RunLog,
  type RunRecord,
  readRecord,
  stageFile,
  stateFile,
} from './runFiles.ts';
import { runStage } from './stages/index.ts';
import { type CompressionState, weightSparsity } from './state.ts';
import { decodeState, encodeState } from './stateFile.ts';
import type { RunStorage } from './storage.ts';

export interface CompressEvent {
  stage: string;
  index: number;
  stages: number;
  phase: 'calibrate' | 'train' | 'evaluate';
  step: number;
  steps: number;
  loss?: number;
  top1?: number;
  /** Of this phase of the stage. */
  secondsLeft?: number;
}

export interface CompressOptions {
  graph: Graph;
  recipe: Recipe;
  /** The data of a stage (its `limit` is applied here). */
  openData(data: StageData): Promise<Dataset>;
  /** What accuracy is measured on. Training never sees it. */
  evaluation: Dataset;
  preprocess: Preprocess;
  storage: RunStorage;
  /** Go on where the run in `storage` stopped; otherwise its files are replaced. */
  resume: boolean;
  /** Bytes of the float32 weights; counted from the graph by default. */
  originalBytes?: number;
  onProgress?(event: CompressEvent): void;
  signal?: AbortSignal | undefined;
  /** Seconds between checkpoints. Default 20. */
  checkpointSeconds?: number;
}

export type { CompressResult, StageResult } from './result.ts';

/**
 * Runs the stages of a recipe over a network. After each stage its compressed file is written and evaluated as it is
 * read back, so that every accuracy and size belongs to a file that exists. A run that was stopped continues from its
 * last checkpoint to the same bytes as an unbroken one.
 */
export async function compress(gpu: Gpu, options: CompressOptions): Promise<CompressResult> {
  const { recipe, storage, evaluation, preprocess, signal } = options;
  const original = prepareGraph(options.graph, {}).graph;
  const originalBytes = options.originalBytes ?? floatBytes(options.graph);
  const datasets: Dataset[] = [];
  for (const stage of recipe.stages)
    datasets.push(limited(await options.openData(stage.data), stage.data, recipe.seed));
  const fingerprint = await fingerprintOf({ graph: original, recipe, datasets, preprocess, evaluation });

  const record = await startRecord(storage, fingerprint, options.resume);
  const log = await RunLog.open(storage, options.resume && record !== undefined);
  const progress = (event: CompressEvent) => options.onProgress?.(event);
  const stages = recipe.stages.length;

  let run: RunRecord;
  if (record) run = record;
  else {
    const measured = await evaluate(gpu, original, evaluation, {
      preprocess,
      signal,
      onProgress: (step, steps) => progress({ stage: 'original', index: -1, stages, phase: 'evaluate', step, steps }),
    });
    run = { fingerprint, original: { top1: measured.top1, top5: measured.top5, loss: measured.loss }, stages: [] };
    await storage.write(RECORD_FILE, json(run));
  }

  const done = run.stages.length;
  if (done > stages) {
    throw new InputError(`${RECORD_FILE} in the run folder has ${done} stages, the recipe ${stages}: start afresh`);
  }
  const lastState = done > 0 ? await storage.read(stateFile(done - 1)) : undefined;
  if (done > 0 && !lastState) throw new InputError(`The run folder lacks ${stateFile(done - 1)}: start afresh`);
  let state: CompressionState = lastState
    ? decodeState(lastState, stateFile(done - 1), fingerprint)
    : { graph: original, masks: new Map() };
  let checkpoint = options.resume ? await readCheckpoint(storage, fingerprint, done) : undefined;

  for (let index = done; index < stages; index++) {
    const stage = recipe.stages[index];
    const name = stage.name as string;
    const started = performance.now();
    const before = checkpoint?.seconds ?? 0;
    const seconds = () => before + (performance.now() - started) / 1000;
    await log.keepUntil(index, checkpoint?.step ?? 0);
    let lastCheckpoint = performance.now();
    const base = { stage: name, index, stages };
    const left = estimate();
    state = await runStage(stage, {
      gpu,
      state,
      original,
      dataset: datasets[index],
      preprocess,
      seed: (recipe.seed + 0x9e3779b9 * index) >>> 0,
      resume: checkpoint,
      signal,
      onCalibrate: (step, steps) => progress({ ...base, phase: 'calibrate', step, steps }),
      async onSteps(metrics, step, steps) {
        await log.add(index, name, metrics);
        const diverged = metrics.find(({ loss }) => !Number.isFinite(loss));
        if (diverged) throw divergence(name, `the loss is ${diverged.loss} at step ${diverged.step}`);
        const last = metrics.at(-1);
        progress({
          ...base,
          phase: 'train',
          step,
          steps,
          ...(last && { loss: last.loss, top1: last.top1 }),
          ...left(step, steps),
        });
      },
      isCheckpointDue: () => performance.now() - lastCheckpoint > 1000 * (options.checkpointSeconds ?? 20),
      async onCheckpoint(step, buffers) {
        // The log goes first: a checkpoint must not be ahead of it.
        await log.flush();
        await storage.write(
          CHECKPOINT_FILE,
          encodeCheckpoint({ fingerprint, stage: index, step, seconds: seconds(), buffers }),
        );
        lastCheckpoint = performance.now();
      },
    });
    checkpoint = undefined;
    await log.flush();
    for (const [tensor, { dtype, data }] of state.graph.initializers) {
      if (dtype === 'float32' && !(data as Float32Array).every(Number.isFinite)) {
        throw divergence(name, `${tensor} has numbers that are not finite`);
      }
    }
    const file = deployToBytes(state.graph, recipe.store, {
      preprocess: preprocessToJson(preprocess),
      originalBytes,
      recipe: recipe.name,
      ...(evaluation.classNames && { classNames: [...evaluation.classNames] }),
    });
    const { graph } = decodeModel(file, { fileName: stageFile(index, name) });
    const measured = await evaluate(gpu, graph, evaluation, {
      preprocess,
      signal,
      onProgress: (step, steps) => progress({ ...base, phase: 'evaluate', step, steps }),
    });
    run.stages.push(stageResult(stage, measured, graph, file, seconds()));
    await storage.write(stageFile(index, name), file);
    await storage.write(stateFile(index), encodeState(state, fingerprint));
    // From here on the stage counts as done.
    await storage.write(RECORD_FILE, json(run));
    await storage.remove(CHECKPOINT_FILE);
  }

  // A kill between the last two writes leaves it behind.
  await storage.remove(CHECKPOINT_FILE);
  const last = stages - 1;
  const fileName = stageFile(last, recipe.stages[last].name as string);
  const file = await storage.read(fileName);
  if (!file) throw new InputError(`The run folder lacks ${fileName}: start afresh`);
  // An earlier process may have written it long ago.
  decodeModel(file, { fileName });
  return {
    file,
    stages: run.stages,
    bytes: file.length,
    originalBytes,
    ratio: originalBytes / file.length,
    top1: run.stages[last].top1,
    originalTop1: run.original.top1,
  };
}

function divergence(stage: string, what: string): InputError {
  return new InputError(`Stage ${stage} diverged (${what}): lower its learning rate`);
}

async function startRecord(storage: RunStorage, fingerprint: string, resume: boolean): Promise<RunRecord | undefined> {
  const record = resume ? await readRecord(storage) : undefined;
  if (record && record.fingerprint !== fingerprint) {
    throw new InputError(
      'The run folder belongs to a run with another model, recipe or data: choose another, or start afresh',
    );
  }
  if (!record) {
    await storage.remove(RECORD_FILE);
    await storage.remove(CHECKPOINT_FILE);
  }
  return record;
}

async function readCheckpoint(
  storage: RunStorage,
  fingerprint: string,
  stage: number,
): Promise<Checkpoint | undefined> {
  const bytes = await storage.read(CHECKPOINT_FILE);
  if (!bytes) return undefined;
  const checkpoint = decodeCheckpoint(bytes, CHECKPOINT_FILE);
  if (checkpoint.fingerprint !== fingerprint) {
    throw new InputError(`${CHECKPOINT_FILE} belongs to a run with another model, recipe or data: start afresh`);
  }
  // One of a finished stage is left over from a kill between two writes.
  return checkpoint.stage === stage ? checkpoint : undefined;
}

function stageResult(stage: Stage, measured: Evaluation, graph: Graph, file: Uint8Array, seconds: number): StageResult {
  const weights = describeModel(file).tensors.filter(({ shape }) => shape.length >= 2);
  const elements = weights.reduce((sum, { parameters }) => sum + parameters, 0);
  const bits = weights.reduce((sum, tensor) => sum + tensor.bits * tensor.parameters, 0) / Math.max(elements, 1);
  const { top1, top5, loss } = measured;
  return {
    name: stage.name as string,
    kind: stage.kind,
    top1,
    top5,
    loss,
    sparsity: weightSparsity(graph),
    bits,
    bytes: file.length,
    seconds,
  };
}

/** The first `limit` samples of a seeded shuffle: a fair sample, the same in every stage that asks for it. */
function limited(dataset: Dataset, { limit }: StageData, seed: number): Dataset {
  if (dataset.size === 0) throw new InputError(`${dataset.name}: the ${dataset.split} split is empty`);
  if (limit === undefined || limit >= dataset.size) return dataset;
  return subset(dataset, permutation(dataset.size, seed).slice(0, limit));
}

function floatBytes(graph: Graph): number {
  let bytes = 0;
  for (const { dtype, data } of graph.initializers.values()) if (dtype === 'float32') bytes += 4 * data.length;
  return bytes;
}

/** Time left from the pace since the first report of this process (a resumed stage starts in the middle). */
function estimate() {
  let first: { at: number; step: number } | undefined;
  return (step: number, steps: number): { secondsLeft?: number } => {
    const now = performance.now();
    first ??= { at: now, step };
    return step > first.step ? { secondsLeft: (((now - first.at) / (step - first.step)) * (steps - step)) / 1000 } : {};
  };
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}
