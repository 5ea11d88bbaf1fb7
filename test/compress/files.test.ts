/** The files of a run: state after a stage, checkpoint within one, record and log. */
import { describe, expect, it } from 'vitest';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../../src/compress/checkpoint.ts';
import { quantizeGraph } from '../../src/compress/quantizeGraph.ts';
import { parseRecipe } from '../../src/compress/recipe.ts';
import {
  fingerprintOf,
  LOG_FILE,
  RECORD_FILE,
  RunLog,
  readRecord,
  stageFile,
  stateFile,
} from '../../src/compress/runFiles.ts';
import { weightSparsity } from '../../src/compress/state.ts';
import { decodeState, encodeState } from '../../src/compress/stateFile.ts';
import { memoryStorage } from '../../src/compress/storage.ts';
import { fileChecksum } from '../../src/format/checksum.ts';
import { writeContainer } from '../../src/format/safetensors.ts';
import { InputError } from '../../src/graph/errors.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { memoryDataset } from '../../src/train/data/dataset.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { randomFloats } from '../support/numbers.ts';
import { cnn } from '../train/problems.ts';

function refusal(use: () => unknown): string {
  try {
    use();
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
  }
  throw new Error('was accepted');
}

const quantized = quantizeGraph(cnn(1), {
  weights: { bits: 4, perChannel: true, initial: 'mse' },
  activations: { bits: 8 },
  layers: {},
  skip: [],
}).graph;

describe('a state file', () => {
  const mask = Uint8Array.from({ length: 720 }, (_, i) => (i % 3 === 0 ? 1 : 0));
  const state = { graph: quantized, masks: new Map([['fc.weight', mask]]) };

  it('gives back the graph and the masks exactly', () => {
    const { graph, masks } = decodeState(encodeState(state, 'print'), 'state', 'print');
    expect(masks).toEqual(state.masks);
    expect(graph.nodes).toEqual(quantized.nodes);
    expect(graph.outputs).toEqual(quantized.outputs);
    expect([...graph.initializers].sort()).toEqual([...quantized.initializers].sort());
    expect(encodeState({ graph, masks }, 'print')).toEqual(encodeState(state, 'print'));
  });

  it('is refused where it is of another run or damaged', () => {
    const bytes = encodeState(state, 'print');
    expect(refusal(() => decodeState(bytes, 'state-1.safetensors', 'other'))).toMatch(
      /^state-1.safetensors belongs to/,
    );
    expect(refusal(() => decodeState(bytes.subarray(0, 1000), 'state-1.safetensors', 'print'))).toContain('state-1');
    const parts = (tensors: [string, Uint8Array][]) =>
      writeContainer(
        [
          ['wgslim.state', 'print'],
          [
            'wgslim.crc32',
            fileChecksum(
              'print',
              '',
              tensors.map(([, data]) => data),
            ),
          ],
        ],
        tensors.map(([name, data]) => ({ name, dtype: 'U8', shape: [data.length], bytes: data })),
      );
    expect(refusal(() => decodeState(parts([]), 's', 'print'))).toMatch(/model is missing/);
    const model = encodeState({ ...state, masks: new Map() }, 'print');
    expect(refusal(() => decodeState(parts([['model', model]]), 's', 'print'))).toMatch(/^s/);
  });

  it.each([
    ['of another length', 'fc.weight', new Uint8Array(719).fill(1)],
    ['of no weight', 'nothing', new Uint8Array(10).fill(1)],
    ['of running statistics', 'norm1.mean', new Uint8Array(4).fill(1)],
    ['with a byte that is no bit', 'fc.weight', new Uint8Array(720).fill(2)],
  ])('with a mask %s is refused', (_, name, bytes) => {
    const file = encodeState({ graph: quantized, masks: new Map([[name, bytes]]) }, 'print');
    expect(refusal(() => decodeState(file, 'state', 'print'))).toContain(`the mask of ${name}`);
  });
});

describe('a checkpoint', () => {
  const checkpoint: Checkpoint = {
    fingerprint: 'abc',
    stage: 2,
    step: 77,
    seconds: 12.5,
    buffers: new Map([
      ['mask', Uint8Array.of(1, 2, 3, 4)],
      ['weights', new Uint8Array(randomFloats(1, 64).buffer)],
    ]),
  };

  it('gives back what was saved', () => {
    const decoded = decodeCheckpoint(encodeCheckpoint(checkpoint), 'checkpoint');
    expect({
      ...decoded,
      buffers: new Map([...decoded.buffers].map(([name, bytes]) => [name, bytes.slice()])),
    }).toEqual(checkpoint);
  });

  it('is refused where a bit of its buffers has flipped', () => {
    const bytes = encodeCheckpoint(checkpoint);
    for (const at of [1, 40, bytes.length - 8 * 20 - 3]) {
      const damaged = bytes.slice();
      damaged[damaged.length - at]! ^= 4;
      expect(refusal(() => decodeCheckpoint(damaged, 'checkpoint'))).toContain('checkpoint');
    }
  });

  const head = (json: string) => writeContainer([['wgslim.checkpoint', json]], []);
  it.each([
    ['nothing', writeContainer([], [])],
    ['no JSON', head('{')],
    ['null', head('null')],
    ['a number', head('7')],
    ['a negative step', head('{"fingerprint":"a","stage":0,"step":-1,"seconds":1}')],
    ['a step that is no number', head('{"fingerprint":"a","stage":0,"step":"1","seconds":1}')],
    ['no fingerprint', head('{"stage":0,"step":1,"seconds":1}')],
    ['endless seconds', head('{"fingerprint":"a","stage":0,"step":1,"seconds":1e999}')],
    ['a short file', encodeCheckpoint(checkpoint).subarray(0, 100)],
    ['an empty file', new Uint8Array()],
  ])('with %s is refused', (_, bytes) => {
    expect(refusal(() => decodeCheckpoint(bytes, 'checkpoint'))).toContain('checkpoint');
  });
});

describe('the record of a run', () => {
  const stage = {
    name: 'a',
    kind: 'prune',
    top1: 0.5,
    top5: 1,
    loss: 1.2,
    sparsity: 0.9,
    bits: 16,
    bytes: 10,
    seconds: 1,
  };
  const record = { fingerprint: 'f', original: { top1: 0.9, top5: 1, loss: 0.3 }, stages: [stage] };
  const read = (value: unknown) => {
    const storage = memoryStorage();
    storage.files.set(RECORD_FILE, new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value)));
    return readRecord(storage);
  };

  it('comes back as it was written', async () => {
    expect(await read(record)).toEqual(record);
    expect(await readRecord(memoryStorage())).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ['no JSON', '{"fingerprint": "f"'],
    ['text over lines', 'a\nb\nc'],
    ['null', null],
    ['a list', []],
    ['no fingerprint', { ...record, fingerprint: 5 }],
    ['no stages', { ...record, stages: {} }],
    ['a stage that is null', { ...record, stages: [null] }],
    ['a stage without numbers', { ...record, stages: [{ name: 'a' }] }],
    ['a stage of no kind', { ...record, stages: [{ ...stage, kind: 'melt' }] }],
    ['an original without accuracy', { ...record, original: {} }],
    ['no original', { ...record, original: null }],
  ])('with %s is refused', async (_, value) => {
    const error = await read(value).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(/^result.json/);
    expect((error as Error).message).not.toContain('\n');
  });
});

describe('the log', () => {
  const metrics = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => ({ step: from + i, loss: 1 / (1 + from + i), top1: 0.5 }));
  const steps = (storage: ReturnType<typeof memoryStorage>) =>
    new TextDecoder()
      .decode(storage.files.get(LOG_FILE))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { stage: number; step: number })
      .map(({ stage, step }) => `${stage}:${step}`);
  const expected = (counts: number[]) =>
    counts.flatMap((count, stage) => Array.from({ length: count }, (_, step) => `${stage}:${step}`));

  it('drops what will be done again, and a torn line', async () => {
    const storage = memoryStorage();
    const first = await RunLog.open(storage, false);
    await first.keepUntil(0, 0);
    await first.add(0, 'a', metrics(0, 5));
    await first.add(1, 'b', metrics(0, 9));
    await first.flush();
    await storage.append(LOG_FILE, '{"stage":1,"name":"b","st');
    const second = await RunLog.open(storage, true);
    await second.keepUntil(1, 4);
    await second.add(1, 'b', metrics(4, 6));
    await second.flush();
    await second.keepUntil(2, 0);
    await second.add(2, 'c', metrics(0, 3));
    await second.flush();
    expect(steps(storage)).toEqual(expected([5, 6, 3]));
  });

  it('starts afresh where it is not kept', async () => {
    const storage = memoryStorage();
    await storage.append(LOG_FILE, 'an older run\n');
    const log = await RunLog.open(storage, false);
    await log.keepUntil(0, 0);
    await log.add(0, 'a', metrics(0, 2));
    await log.flush();
    expect(steps(storage)).toEqual(expected([2]));
  });

  it('writes by itself when much is waiting', async () => {
    const storage = memoryStorage();
    const log = await RunLog.open(storage, false);
    await log.keepUntil(0, 0);
    await log.add(0, 'a', metrics(0, 200));
    expect(steps(storage).length).toBeGreaterThan(50);
    await log.flush();
    expect(steps(storage)).toEqual(expected([200]));
  });
});

describe('the fingerprint', () => {
  const recipe = parseRecipe('{"stages": [{"kind": "prune", "sparsity": 0.5}]}', 'r');
  const data = (seed: number, name = 'data') =>
    memoryDataset({
      name,
      split: 'train',
      sampleShape: [1, 2, 2],
      classes: 2,
      samples: Uint8Array.from(randomFloats(seed, 400, 0, 256)),
      labels: Array.from({ length: 100 }, (_, i) => i % 2),
    });
  const base = { graph: cnn(1), recipe, datasets: [data(1)], preprocess: defaultPreprocess(), evaluation: data(2) };
  const changed = (graph: Graph) => {
    const bias = graph.initializers.get('fc.bias')!;
    return {
      ...graph,
      initializers: new Map([
        ...graph.initializers,
        [
          'fc.bias',
          floatTensor(
            bias.shape,
            (bias.data as Float32Array).map((b) => b * 1.0001),
          ),
        ] as const,
      ]),
    };
  };

  it('is the same for the same run and another for any other', async () => {
    const prints = await Promise.all(
      [
        base,
        { ...base, graph: changed(cnn(1)) },
        { ...base, recipe: { ...recipe, seed: 2 } },
        { ...base, recipe: parseRecipe('{"stages": [{"kind": "prune", "sparsity": 0.51}]}', 'r') },
        { ...base, datasets: [data(1, 'other')] },
        { ...base, datasets: [data(3)] }, // as many samples of the same name, but others
        { ...base, evaluation: data(3) },
        { ...base, preprocess: { ...defaultPreprocess(), mean: [0.5] } },
      ].map(fingerprintOf),
    );
    expect(new Set(prints).size).toBe(prints.length);
    expect(await fingerprintOf({ ...base, graph: cnn(1) })).toBe(prints[0]);
    expect(prints[0]).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('names of files', () => {
  it('are plain, whatever a stage is called', () => {
    expect(stateFile(0)).toBe('state-1.safetensors');
    expect(stageFile(1, 'fine tune/../ü')).toBe('stage-2-fine_tune_.._.wgslim');
    expect(stageFile(2, '..')).toMatch(/^[\w.-]+$/);
  });
});

describe('sparsity', () => {
  it('counts zeros of weights and of masks', () => {
    const graph: Graph = {
      name: '',
      inputs: [],
      outputs: [],
      nodes: [],
      initializers: new Map([
        ['w', floatTensor([2, 2], [0, -0, 1, 2])],
        ['b', floatTensor([2], [0, 0])],
      ]),
    };
    expect(weightSparsity(graph)).toBe(0.5);
  });
});
