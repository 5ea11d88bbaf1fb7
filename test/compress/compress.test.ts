import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type CompressEvent,
  type CompressOptions,
  type CompressResult,
  compress,
} from '../../src/compress/compress.ts';
import { parseRecipe, type Recipe } from '../../src/compress/recipe.ts';
import { CHECKPOINT_FILE, LOG_FILE, RECORD_FILE, stageFile, stateFile } from '../../src/compress/runFiles.ts';
import { memoryStorage, type RunStorage } from '../../src/compress/storage.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { describeModel } from '../../src/format/describeModel.ts';
import { InputError } from '../../src/graph/errors.ts';
import type { Graph } from '../../src/graph/types.ts';
import type { Dataset } from '../../src/train/data/dataset.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { evaluate } from '../../src/train/evaluate.ts';
import { testGpu } from '../support/gpu.ts';
import { random } from '../support/numbers.ts';
import { cnn, digits } from '../train/problems.ts';

const preprocess = defaultPreprocess();
let training: Dataset;
let evaluation: Dataset;
beforeAll(async () => {
  training = { ...(await digits({ count: 200 })), name: 'training' };
  evaluation = { ...(await digits({ count: 100, first: 5000 })), name: 'evaluation', split: 'test' };
});

const recipeOf = (stages: unknown[], rest = {}): Recipe =>
  parseRecipe(JSON.stringify({ stages, ...rest }), 'test.json');

const sgd = { kind: 'sgd', learningRate: 0.02, weightDecay: 1e-3 };
/** Every kind of stage: gradual pruning, pruning at once, quantization with distillation, fine-tuning. */
const everything = () =>
  recipeOf(
    [
      {
        kind: 'prune',
        name: 'gradual',
        sparsity: 0.6,
        schedule: { kind: 'cubic', every: 2 },
        training: { epochs: 1.5, batch: 20, optimizer: sgd, augment: { crop: 1 } },
      },
      { kind: 'prune', name: 'at once', sparsity: 0.8, scope: 'layer', skip: ['conv1'], calibration: { samples: 64 } },
      {
        kind: 'quantize',
        weights: { bits: 4 },
        activations: { bits: 8, samples: 64 },
        layers: { conv1: 8 },
        data: { limit: 120 },
        training: {
          epochs: 2,
          batch: 30,
          optimizer: { kind: 'adam', learningRate: 1e-3 },
          distill: { temperature: 3 },
        },
      },
      { kind: 'train', training: { epochs: 0.5, batch: 20, optimizer: sgd, batchNorm: 'frozen' } },
    ],
    { seed: 7 },
  );
const STEPS = [15, 0, 8, 5];

async function start(
  recipe: Recipe,
  storage: RunStorage,
  options: Partial<CompressOptions> = {},
): Promise<CompressResult> {
  return compress(await testGpu(), {
    graph: cnn(41),
    recipe,
    openData: async () => training,
    evaluation,
    preprocess,
    storage,
    resume: false,
    ...options,
  });
}

interface LogLine {
  stage: number;
  name: string;
  step: number;
  loss: number;
  top1: number;
}

const logOf = (files: Map<string, Uint8Array>): LogLine[] =>
  new TextDecoder()
    .decode(files.get(LOG_FILE))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogLine);

/** All but the times that things took. */
const withoutSeconds = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (key, part) => (key === 'seconds' ? 0 : part)));
const recordOf = (files: Map<string, Uint8Array>) =>
  withoutSeconds(JSON.parse(new TextDecoder().decode(files.get(RECORD_FILE))));

let unbroken: { result: CompressResult; files: Map<string, Uint8Array>; events: CompressEvent[] } | undefined;
/** The run that the others must match. */
async function reference() {
  if (!unbroken) {
    const storage = memoryStorage();
    const events: CompressEvent[] = [];
    const result = await start(everything(), storage, { onProgress: (event) => events.push(event) });
    unbroken = { result, files: storage.files, events };
  }
  return unbroken;
}

/** Short enough to be shown where it differs. */
const digest = (bytes: Uint8Array | undefined) => bytes && createHash('sha256').update(bytes).digest('hex');
const digests = (files: Map<string, Uint8Array>) =>
  Object.fromEntries([...files].sort().map(([name, bytes]) => [name, digest(bytes)]));

async function expectSameRun(result: CompressResult, files: Map<string, Uint8Array>) {
  const expected = await reference();
  expect(digest(result.file)).toBe(digest(expected.result.file));
  expect(withoutSeconds({ ...result, file: 0 })).toEqual(withoutSeconds({ ...expected.result, file: 0 }));
  expect(recordOf(files)).toEqual(recordOf(expected.files));
  expect({ ...digests(files), [RECORD_FILE]: '' }).toEqual({ ...digests(expected.files), [RECORD_FILE]: '' });
}

describe('an unbroken run', () => {
  it('logs every step once, and reports what its files are', async () => {
    const { result, files } = await reference();
    const recipe = everything();
    expect(logOf(files).map(({ stage, step }) => `${stage}:${step}`)).toEqual(
      STEPS.flatMap((count, stage) => Array.from({ length: count }, (_, step) => `${stage}:${step}`)),
    );
    expect(
      logOf(files).every(({ loss, top1, name, stage }) => loss > 0 && top1 >= 0 && name === recipe.stages[stage]!.name),
    ).toBe(true);
    expect(result.stages.map(({ name, kind }) => [name, kind])).toEqual(
      recipe.stages.map(({ name, kind }) => [name, kind]),
    );
    const gpu = await testGpu();
    for (const [index, stage] of result.stages.entries()) {
      const file = files.get(stageFile(index, stage.name))!;
      expect(file.length).toBe(stage.bytes);
      const { graph, meta } = decodeModel(file, { fileName: stage.name });
      const measured = await evaluate(gpu, graph, evaluation, { preprocess });
      expect([measured.top1, measured.top5, measured.loss]).toEqual([stage.top1, stage.top5, stage.loss]);
      const weights = describeModel(file).tensors.filter(({ shape }) => shape.length >= 2);
      const elements = weights.reduce((sum, { parameters }) => sum + parameters, 0);
      expect(stage.sparsity).toBeCloseTo(1 - weights.reduce((sum, { nonzero }) => sum + nonzero, 0) / elements, 10);
      expect(meta).toMatchObject({ recipe: 'recipe', preprocess: { scale: 1 / 255 } });
    }
    const [gradual, atOnce, quantized, tuned] = result.stages;
    // 36 + 288 + 720 weights.
    expect(gradual!.sparsity).toBeCloseTo(Math.round(0.6 * 1044) / 1044, 10);
    expect(atOnce!.sparsity).toBeGreaterThan(0.75);
    expect(quantized!.sparsity).toBeGreaterThanOrEqual(atOnce!.sparsity);
    expect(tuned!.sparsity).toBeGreaterThanOrEqual(atOnce!.sparsity);
    expect([gradual!.bits, atOnce!.bits]).toEqual([16, 16]);
    expect(quantized!.bits).toBeCloseTo((36 * 8 + 1008 * 4) / 1044, 10);

    expect(digest(result.file)).toBe(digest(files.get(stageFile(3, '4-train'))));
    expect(result.bytes).toBe(result.file.length);
    expect(result.originalBytes).toBe(
      4 * [...cnn(41).initializers.values()].reduce((sum, { data }) => sum + data.length, 0),
    );
    expect(result.ratio).toBe(result.originalBytes / result.bytes);
    expect(result.top1).toBe(tuned!.top1);
    expect(result.originalTop1).toBe((await evaluate(gpu, cnn(41), evaluation, { preprocess })).top1);
    expect(files.has(CHECKPOINT_FILE)).toBe(false);
    expect([...files.keys()].filter((name) => name.startsWith('state'))).toHaveLength(4);
  });

  it('reports its progress in order', async () => {
    const { events } = await reference();
    expect(events[0]).toMatchObject({ stage: 'original', index: -1, phase: 'evaluate' });
    const ends = events.filter(({ step, steps }) => step === steps).map(({ index, phase }) => `${index} ${phase}`);
    expect(ends).toEqual([
      '-1 evaluate',
      '0 train',
      '0 evaluate',
      '1 calibrate',
      '1 evaluate',
      '2 calibrate',
      '2 train',
      '2 evaluate',
      '3 train',
      '3 evaluate',
    ]);
    for (const { phase, loss, step, steps } of events) {
      expect(step).toBeLessThanOrEqual(steps);
      if (phase === 'train') expect(loss).toBeGreaterThan(0);
    }
  });

  it('frees what it takes', async () => {
    const gpu = await testGpu();
    const recipe = recipeOf([{ kind: 'prune', sparsity: 0.5, training: { epochs: 0.2, batch: 20 } }]);
    await start(recipe, memoryStorage());
    const { bytes, buffers } = gpu.buffers.statistics;
    await start(recipe, memoryStorage());
    expect(gpu.buffers.statistics).toMatchObject({ bytes, buffers });
  });
});

describe('a run that is stopped and resumed', () => {
  it.each([1, 2, 3])('ends with the same bytes: stopped by a signal, seed %i', async (seed) => {
    const next = random(seed);
    const storage = memoryStorage();
    let stops = 0;
    for (;;) {
      const controller = new AbortController();
      const reason = new Error('stopped');
      let left = stops < 12 ? Math.floor(next(1, 6)) : Number.POSITIVE_INFINITY;
      try {
        const result = await start(everything(), storage, {
          resume: stops > 0,
          signal: controller.signal,
          // A report and a checkpoint after every step, so that any step may be the last.
          checkpointSeconds: next() < 0.8 ? -1 : 1000,
          onProgress() {
            if (--left === 0) controller.abort(reason);
          },
        });
        await expectSameRun(result, storage.files);
        break;
      } catch (error) {
        if (error !== reason) throw error;
        stops++;
      }
    }
    expect(stops).toBeGreaterThanOrEqual(5);
  });

  it.each([4, 5, 6])('ends with the same bytes: killed in the middle of any write, seed %i', async (seed) => {
    const next = random(seed);
    const kept = memoryStorage();
    class Killed extends Error {}
    let kills = 0;
    for (;;) {
      let left = kills < 15 ? Math.floor(next(1, 9)) : Number.POSITIVE_INFINITY;
      const guard = () => {
        if (--left <= 0) throw new Killed();
      };
      const dying: RunStorage = {
        read: kept.read,
        async write(name, bytes) {
          // A file appears whole or not at all: the kill comes before or after.
          if (left === 1 && next() < 0.5) await kept.write(name, bytes);
          guard();
          await kept.write(name, bytes);
        },
        async append(name, text) {
          if (left === 1) await kept.append(name, text.slice(0, Math.floor(next(0, text.length))));
          guard();
          await kept.append(name, text);
        },
        async remove(name) {
          if (left === 1 && next() < 0.5) await kept.remove(name);
          guard();
          await kept.remove(name);
        },
      };
      try {
        const result = await start(everything(), dying, {
          resume: kills > 0,
          checkpointSeconds: next() < 0.8 ? -1 : 1000,
        });
        await expectSameRun(result, kept.files);
        break;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        kills++;
      }
    }
    expect(kills).toBeGreaterThanOrEqual(6);
  });

  it('returns the file of a finished run without doing anything', async () => {
    const { files } = await reference();
    const storage = memoryStorage();
    for (const [name, bytes] of files) storage.files.set(name, bytes);
    const events: CompressEvent[] = [];
    const again = await start(everything(), storage, { resume: true, onProgress: (event) => events.push(event) });
    expect(events).toEqual([]);
    await expectSameRun(again, storage.files);
  });

  it('begins anew where it is not asked to resume', async () => {
    const { files } = await reference();
    const storage = memoryStorage();
    for (const [name, bytes] of files) storage.files.set(name, bytes);
    const recipe = recipeOf([{ kind: 'train', training: { epochs: 0.1, batch: 20 } }]);
    const result = await start(recipe, storage);
    expect(recordOf(storage.files).stages).toHaveLength(1);
    expect(logOf(storage.files)).toHaveLength(1);
    expect(digest(storage.files.get(stageFile(0, '1-train')))).toBe(digest(result.file));
  });
});

describe('a run folder', () => {
  /** Stopped in the middle of the first stage. */
  async function stopped(): Promise<Map<string, Uint8Array>> {
    const storage = memoryStorage();
    const controller = new AbortController();
    await expect(
      start(everything(), storage, {
        signal: controller.signal,
        checkpointSeconds: -1,
        onProgress: ({ phase, step }) => phase === 'train' && step >= 4 && controller.abort(),
      }),
    ).rejects.toThrow();
    expect(storage.files.has(CHECKPOINT_FILE)).toBe(true);
    return storage.files;
  }

  async function refusal(
    files: Map<string, Uint8Array>,
    options: Partial<CompressOptions> = {},
    recipe = everything(),
  ) {
    const storage = memoryStorage();
    for (const [name, bytes] of files) storage.files.set(name, bytes);
    const error = await start(recipe, storage, { resume: true, ...options }).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).not.toContain('\n');
    // Nothing of the other run is lost.
    expect(digests(storage.files)).toEqual(digests(files));
    return (error as Error).message;
  }

  it('of another recipe, model, data or preprocessing is refused', async () => {
    const files = await stopped();
    const other = recipeOf(everything().stages.slice(1), { seed: 7 });
    expect(await refusal(files, {}, other)).toMatch(/another model, recipe or data/);
    expect(await refusal(files, {}, { ...everything(), seed: 8 })).toMatch(/another/);
    expect(await refusal(files, { graph: cnn(42) })).toMatch(/another/);
    const otherDigits = { ...(await digits({ count: 200, first: 1000 })), name: 'training' };
    expect(await refusal(files, { openData: async () => otherDigits })).toMatch(/another/);
    expect(await refusal(files, { evaluation: { ...evaluation, size: 50 } })).toMatch(/another/);
    expect(await refusal(files, { preprocess: { ...preprocess, mean: [0.2] } })).toMatch(/another/);
  });

  it('whose files are of two runs, damaged or gone is refused', async () => {
    const files = await stopped();
    const foreign = memoryStorage();
    const controller = new AbortController();
    await expect(
      start({ ...everything(), seed: 99 }, foreign, {
        signal: controller.signal,
        checkpointSeconds: -1,
        onProgress: ({ phase, step }) => phase === 'train' && step >= 2 && controller.abort(),
      }),
    ).rejects.toThrow();
    const mixed = new Map([...files, [CHECKPOINT_FILE, foreign.files.get(CHECKPOINT_FILE)!] as const]);
    expect(await refusal(mixed)).toMatch(/^checkpoint.safetensors belongs to/);
    const damaged = files.get(CHECKPOINT_FILE)!.slice();
    damaged[damaged.length - 5]! ^= 1;
    expect(await refusal(new Map([...files, [CHECKPOINT_FILE, damaged] as const]))).toMatch(/damaged/);
    const { files: finished } = await reference();
    const without = (name: string) => new Map([...finished].filter(([known]) => known !== name));
    expect(await refusal(without(stateFile(3)))).toContain('lacks state-4');
    expect(await refusal(without(stageFile(3, '4-train')))).toContain('lacks stage-4');
    const file = finished.get(stageFile(3, '4-train'))!.slice();
    file[file.length - 3]! ^= 8;
    expect(await refusal(new Map([...finished, [stageFile(3, '4-train'), file] as const]))).toContain('stage-4');
    const record = JSON.parse(new TextDecoder().decode(finished.get(RECORD_FILE)));
    const longer = new TextEncoder().encode(
      JSON.stringify({ ...record, stages: [...record.stages, ...record.stages] }),
    );
    expect(await refusal(new Map([...finished, [RECORD_FILE, longer] as const]))).toContain('8 stages');
  });
});

describe('short recipes', () => {
  const run = async (stages: unknown[], options: Partial<CompressOptions> = {}) => {
    const storage = memoryStorage();
    return { ...(await start(recipeOf(stages), storage, options)), files: storage.files };
  };

  it('quantize without training', async () => {
    const { stages, files, top1, originalTop1 } = await run([{ kind: 'quantize', weights: { bits: 8 } }]);
    expect(stages[0]).toMatchObject({ name: '1-quantize', bits: 8 });
    expect(Math.abs(top1 - originalTop1)).toBeLessThan(0.03);
    expect(logOf(files)).toEqual([]);
  });

  it('quantize twice: the later width holds', async () => {
    const { stages, file } = await run([
      { kind: 'quantize', weights: { bits: 8 }, activations: { bits: 8 } },
      { kind: 'quantize', weights: { bits: 3 }, activations: { bits: 6 }, training: { epochs: 0.2, batch: 20 } },
    ]);
    expect(stages.map(({ bits }) => bits)).toEqual([8, 3]);
    const { graph } = decodeModel(file, { fileName: 'twice' });
    const quantizers = graph.nodes.filter(({ op }) => op === 'wgslim.FakeQuantize');
    expect(quantizers.map(({ attributes }) => attributes.bits)).toEqual([6, 6, 6]);
  });

  it('prune at once without training: exactly as many as asked for', async () => {
    const { stages } = await run([{ kind: 'prune', sparsity: 0.9, importance: 'magnitude' }]);
    expect(stages[0]!.sparsity).toBe(Math.round(0.9 * 1044) / 1044);
  });

  it('train only', async () => {
    const { stages, files, bytes } = await run([{ kind: 'train', training: { epochs: 1, batch: 64 } }], {
      originalBytes: 1000,
    });
    expect(stages[0]).toMatchObject({ kind: 'train', bits: 16, sparsity: 0 });
    expect(logOf(files).map(({ step }) => step)).toEqual([0, 1, 2, 3]);
    expect(bytes).toBe(files.get('stage-1-1-train.wgslim')!.length);
  });

  it('take a batch larger than the data', async () => {
    const { files } = await run([{ kind: 'train', data: { limit: 10 }, training: { epochs: 3, batch: 15 } }]);
    expect(logOf(files)).toHaveLength(2);
  });

  it.each<[string, unknown[], RegExp]>([
    [
      'gradual pruning without training',
      [{ kind: 'prune', sparsity: 0.5, schedule: { kind: 'cubic' } }],
      /1-prune.*training/,
    ],
    [
      'gradual pruning in one step',
      [{ kind: 'prune', sparsity: 0.5, schedule: { kind: 'cubic' }, training: { epochs: 0.1, batch: 20 } }],
      /1-prune.*step/,
    ],
    ['pruning with everything left out', [{ kind: 'prune', sparsity: 0.5, skip: ['*'] }], /skip/],
  ])('%s is refused', async (_, stages, message) => {
    const error = await run(stages).then(
      () => undefined,
      (caught: unknown) => caught as Error,
    );
    expect(error).toBeInstanceOf(InputError);
    expect(error?.message).toMatch(message);
  });

  it.each([
    [
      'in the middle',
      { epochs: 2, batch: 20 },
      /^Stage 1-train diverged \(the loss is NaN at step \d+\).*learning rate/,
    ],
    ['in its last step', { epochs: 0.1, batch: 20 }, /^Stage 1-train diverged \(.* not finite\).*learning rate/],
  ])('a training that diverges %s is refused', async (_, training, message) => {
    const optimizer = { kind: 'sgd', learningRate: 1e38, weightDecay: 1e10 };
    const error = await run([{ kind: 'train', training: { ...training, optimizer } }]).then(
      () => undefined,
      (caught: unknown) => caught as Error,
    );
    expect(error).toBeInstanceOf(InputError);
    expect(error?.message).toMatch(message);
  });

  it('an empty data set is refused', async () => {
    const failed = run([{ kind: 'train', training: { epochs: 1 } }], {
      openData: async () => ({ ...training, size: 0 }),
    });
    await expect(failed).rejects.toThrow(/training: the train split is empty/);
    const judged = run([{ kind: 'train', training: { epochs: 1 } }], { evaluation: { ...evaluation, size: 0 } });
    await expect(judged).rejects.toThrow(/evaluation: the test split is empty/);
  });

  it('leaves the graph that it was given alone', async () => {
    const graph: Graph = cnn(43);
    await run([{ kind: 'quantize' }, { kind: 'train', training: { epochs: 0.2 } }], { graph });
    expect(graph).toEqual(cnn(43));
  });
});
