/** Mutated recipes and files of a run: each is either taken or refused with one sentence. */
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/compress/checkpoint.ts';
import { compress } from '../../src/compress/compress.ts';
import { parseRecipe } from '../../src/compress/recipe.ts';
import {
  CHECKPOINT_FILE,
  LOG_FILE,
  RECORD_FILE,
  readRecord,
  stageFile,
  stateFile,
} from '../../src/compress/runFiles.ts';
import { decodeState } from '../../src/compress/stateFile.ts';
import { memoryStorage } from '../../src/compress/storage.ts';
import { InputError } from '../../src/graph/errors.ts';
import type { Dataset } from '../../src/train/data/dataset.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { testGpu } from '../support/gpu.ts';
import { random } from '../support/numbers.ts';
import { cnn, digits } from '../train/problems.ts';

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const encode = (text: string) => new TextEncoder().encode(text);

/** The error that `use` ends with; anything but an InputError of one line fails. */
async function outcome(use: () => unknown, what: string): Promise<'taken' | 'refused'> {
  try {
    await use();
    return 'taken';
  } catch (error) {
    if (!(error instanceof InputError)) throw new Error(`${what}: ${(error as Error).stack}`);
    expect(error.message, what).toMatch(/^[^\n\r]{5,1000}$/);
    return 'refused';
  }
}

type Random = ReturnType<typeof random>;
const pick = <T>(next: Random, list: readonly T[]): T => list[Math.floor(next(0, list.length))]!;

/** Flips, cuts, repeats and inserts bytes. */
function damageBytes(bytes: Uint8Array, next: Random): Uint8Array {
  const at = Math.floor(next(0, bytes.length));
  const length = Math.floor(next(1, Math.min(64, bytes.length - at) + 1));
  switch (Math.floor(next(0, 5))) {
    case 0: {
      const flipped = bytes.slice();
      flipped[at]! ^= 1 << Math.floor(next(0, 8));
      return flipped;
    }
    case 1:
      return bytes.slice(0, at);
    case 2:
      return new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(at + length)]);
    case 3:
      return new Uint8Array([...bytes.subarray(0, at + length), ...bytes.subarray(at)]);
    default: {
      const noise = bytes.slice();
      for (let i = at; i < at + length; i++) noise[i] = Math.floor(next(0, 256));
      return noise;
    }
  }
}

const ODD_VALUES: unknown[] = [
  ...[
    null,
    true,
    '',
    'x',
    'a\nb',
    [],
    {},
    [[]],
    -1,
    0,
    0.5,
    1,
    1.5,
    2,
    1e9,
    1e308,
    -1e308,
    2 ** 53,
    'prune',
    '\u0000',
    '*'.repeat(400),
  ],
  { kind: 'prune' },
  { kind: 'cubic', every: 1e9 },
];

/** Replaces, removes, adds or doubles something anywhere in a JSON value. */
function damageJson(value: unknown, next: Random): unknown {
  if (typeof value !== 'object' || value === null || next() < 0.15) return pick(next, ODD_VALUES);
  const keys = Object.keys(value);
  if (Array.isArray(value)) {
    const list = [...value];
    const at = Math.floor(next(0, list.length));
    const choice = next();
    if (choice < 0.2) list.push(list[at] ?? pick(next, ODD_VALUES));
    else if (choice < 0.35) list.splice(at, 1);
    else list[at] = damageJson(list[at], next);
    return list;
  }
  const object: Record<string, unknown> = { ...value };
  const key = keys.length > 0 ? pick(next, keys) : 'new';
  if (next() < 0.15) delete object[key];
  else if (next() < 0.1)
    object[pick(next, ['new\nkey', '__proto__', 'constructor', 'kind', 'name', key.toUpperCase()])] = pick(
      next,
      ODD_VALUES,
    );
  else object[key] = damageJson(object[key], next);
  return object;
}

const RECIPE = {
  name: 'all',
  seed: 3,
  store: 'float16',
  stages: [
    {
      kind: 'prune',
      name: 'gradual',
      sparsity: 0.5,
      scope: 'layer',
      importance: 'gradient',
      calibration: { samples: 64, batch: 8 },
      schedule: { kind: 'cubic', initial: 0.1, until: 0.8, every: 2 },
      skip: ['conv1', '*.bias'],
      training: {
        epochs: 1,
        batch: 16,
        optimizer: {
          kind: 'sgd',
          learningRate: 0.01,
          momentum: 0.9,
          nesterov: true,
          weightDecay: 1e-4,
          scaleRate: 0.1,
        },
        schedule: { kind: 'step', milestones: [0.5, 0.75], gamma: 0.1, warmupEpochs: 0.1 },
        labelSmoothing: 0.1,
        batchNorm: 'frozen',
        augment: { crop: 2, flip: true },
      },
    },
    {
      kind: 'quantize',
      weights: { bits: 4, perChannel: true, initial: 'lsq' },
      activations: { bits: 8, samples: 32 },
      layers: { 'conv*': 8, fc: 3 },
      data: { split: 'train', limit: 50 },
      training: {
        epochs: 1,
        optimizer: { kind: 'adamw', learningRate: 1e-3, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.01 },
        schedule: { kind: 'cosine', final: 0.1 },
        distill: { temperature: 2, alpha: 0.5 },
      },
    },
    { kind: 'train', data: { path: 'other' }, training: { epochs: 2, schedule: { kind: 'constant' } } },
  ],
};

describe('a recipe', () => {
  it('is taken as written', () => {
    expect(parseRecipe(JSON.stringify(RECIPE), 'r').stages).toHaveLength(3);
  });

  it('with damaged values is taken or refused', async () => {
    const counts = { taken: 0, refused: 0 };
    for (let seed = 0; seed < 4000; seed++) {
      const next = random(seed);
      let damaged: unknown = RECIPE;
      for (let times = Math.floor(next(1, 4)); times > 0; times--) damaged = damageJson(damaged, next);
      const text = JSON.stringify(damaged) ?? '';
      counts[await outcome(() => parseRecipe(text, 'recipe.json'), `seed ${seed}: ${text}`)]++;
    }
    expect(counts.refused).toBeGreaterThan(2000);
    expect(counts.taken).toBeGreaterThan(100);
  });

  it('with damaged text is taken or refused', async () => {
    const bytes = encode(JSON.stringify(RECIPE, null, 1));
    const counts = { taken: 0, refused: 0 };
    for (let seed = 0; seed < 3000; seed++) {
      const text = decode(damageBytes(bytes, random(seed)));
      counts[await outcome(() => parseRecipe(text, 'recipe.json'), `seed ${seed}`)]++;
    }
    expect(counts.refused).toBeGreaterThan(2000);
  });

  it.each([
    ['deep nesting', '['.repeat(200_000)],
    ['deep nesting that is closed', `${'['.repeat(5000)}${']'.repeat(5000)}`],
    ['a long text', `"${'x'.repeat(1e6)}"`],
    ['a long name', JSON.stringify({ stages: [{ kind: 'prune', sparsity: 0.5, name: 'n'.repeat(300) }] })],
    ['a number that is too large', '{"stages": [{"kind": "prune", "sparsity": 1e999}]}'],
    ['an endless training', '{"stages": [{"kind": "train", "training": {"epochs": 1e300}}]}'],
    ['an unknown field over lines', '{"stages": [{"kind": "prune", "sparsity": 0.5, "a\\nb": 1}]}'],
    ['text over lines', '{"stages":\n[{"kind":\n"prune",\n}]}'],
  ])('with %s is refused', async (_, text) => {
    expect(await outcome(() => parseRecipe(text, 'recipe.json'), 'text')).toBe('refused');
  });
});

describe('the files of a run', () => {
  const recipe = parseRecipe(
    JSON.stringify({
      stages: [
        { kind: 'prune', sparsity: 0.5, importance: 'magnitude' },
        { kind: 'train', training: { epochs: 1, batch: 8 } },
      ],
    }),
    'r',
  );
  let dataset: Dataset;
  /** Stopped in the second stage: a record, a state and a checkpoint; and finished. */
  const stopped = memoryStorage();
  const finished = memoryStorage();

  const run = async (storage: ReturnType<typeof memoryStorage>, resume: boolean, stopAt = Number.POSITIVE_INFINITY) => {
    const controller = new AbortController();
    return compress(await testGpu(), {
      graph: cnn(51),
      recipe,
      openData: async () => dataset,
      evaluation: dataset,
      preprocess: defaultPreprocess(),
      storage,
      resume,
      checkpointSeconds: stopAt < 100 ? -1 : 1000,
      signal: controller.signal,
      onProgress: ({ phase, step }) => phase === 'train' && step >= stopAt && controller.abort(),
    });
  };

  beforeAll(async () => {
    dataset = await digits({ count: 40 });
    await expect(run(stopped, false, 2)).rejects.toThrow();
    await run(finished, false);
    expect([...stopped.files.keys()].sort()).toEqual(
      [CHECKPOINT_FILE, LOG_FILE, RECORD_FILE, stageFile(0, '1-prune'), stateFile(0)].sort(),
    );
  });

  it('decode or are refused: a checkpoint', async () => {
    const bytes = stopped.files.get(CHECKPOINT_FILE)!;
    for (let seed = 0; seed < 400; seed++) {
      await outcome(() => decodeCheckpoint(damageBytes(bytes, random(seed)), CHECKPOINT_FILE), `seed ${seed}`);
    }
  });

  it('decode or are refused: a state', async () => {
    const bytes = stopped.files.get(stateFile(0))!;
    const { fingerprint } = JSON.parse(decode(stopped.files.get(RECORD_FILE)!)) as { fingerprint: string };
    let refused = 0;
    for (let seed = 0; seed < 400; seed++) {
      const result = await outcome(
        () => decodeState(damageBytes(bytes, random(seed)), stateFile(0), fingerprint),
        `seed ${seed}`,
      );
      if (result === 'refused') refused++;
    }
    expect(refused).toBeGreaterThan(380);
  });

  it('decode or are refused: a record', async () => {
    const bytes = finished.files.get(RECORD_FILE)!;
    const storage = memoryStorage();
    for (let seed = 0; seed < 2000; seed++) {
      const next = random(seed);
      const damaged =
        next() < 0.5
          ? damageBytes(bytes, next)
          : encode(JSON.stringify(damageJson(JSON.parse(decode(bytes)), next)) ?? '');
      storage.files.set(RECORD_FILE, damaged);
      await outcome(() => readRecord(storage), `seed ${seed}: ${decode(damaged)}`);
    }
  });

  it('lead to the end or are refused when a run goes on from them', async () => {
    const expected = finished.files.get(stageFile(1, '2-train'));
    const counts = { taken: 0, refused: 0 };
    for (let seed = 0; seed < 60; seed++) {
      const next = random(seed);
      const storage = memoryStorage();
      for (const [name, bytes] of (seed % 3 === 0 ? finished : stopped).files) storage.files.set(name, bytes);
      const name = pick(next, [...storage.files.keys()]);
      const bytes = storage.files.get(name)!;
      if (next() < 0.1) storage.files.delete(name);
      else if (name === RECORD_FILE && next() < 0.7) {
        storage.files.set(name, encode(JSON.stringify(damageJson(JSON.parse(decode(bytes)), next)) ?? ''));
      } else storage.files.set(name, damageBytes(bytes, next));
      const result = await outcome(async () => {
        const { file } = await run(storage, true);
        // What is damaged is never used: a run that goes on ends with the right file.
        expect(file).toEqual(expected);
      }, `seed ${seed}: ${name}`);
      counts[result]++;
    }
    expect(counts.taken).toBeGreaterThan(5);
    expect(counts.refused).toBeGreaterThan(20);
  });

  it('refuse a checkpoint whose buffers do not fit the network', async () => {
    const checkpoint = decodeCheckpoint(stopped.files.get(CHECKPOINT_FILE)!, CHECKPOINT_FILE);
    const storage = memoryStorage();
    for (const change of [
      (buffers: Map<string, Uint8Array>) => buffers.delete('weights'),
      (buffers: Map<string, Uint8Array>) => buffers.set('momentum', new Uint8Array(8)),
      (buffers: Map<string, Uint8Array>) => buffers.clear(),
    ]) {
      for (const [name, bytes] of stopped.files) storage.files.set(name, bytes);
      const buffers = new Map(checkpoint.buffers);
      change(buffers);
      storage.files.set(CHECKPOINT_FILE, encodeCheckpoint({ ...checkpoint, buffers }));
      expect(await outcome(() => run(storage, true), 'buffers')).toBe('refused');
    }
  });
});
