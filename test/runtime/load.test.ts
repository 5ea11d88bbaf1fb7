/** `load` of wgslim/web, in Node: sources, inputs, plans, memory, errors. The browser has tests of its own (test/web). */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { roundWeights } from '../../examples/web-classify/roundWeights.ts';
import { deployToBytes } from '../../src/compress/deploy.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { packTensors } from '../../src/runtime/packModel.ts';
import { normaliseOnHost } from '../../src/train/data/normalise.ts';
import { resample } from '../../src/train/data/resample.ts';
import { FetchError, InputError, LimitError, type LoadOptions, load, NoAdapterError } from '../../src/web.ts';
import { CLASSES, SIDE, tinyGraph } from '../cli/fixture.ts';
import { sketchGraph } from '../onnx/build.ts';
import { runOnnxruntime } from '../onnx/ort.ts';
import { testGpu } from '../support/gpu.ts';
import { relativeError } from '../support/numbers.ts';

const META = { classNames: ['a', 'b', 'c'], preprocess: { scale: 1 / 255, mean: [0.4], std: [0.3], channels: 'rgb' } };
const file = (graph = tinyGraph()) => deployToBytes(graph, 'float32', META);
const pixels = (count: number) => Float32Array.from({ length: count * SIDE * SIDE }, (_, i) => Math.sin(i));
const device = async () => (await testGpu()).device;
const onTestGpu = async (options: LoadOptions = {}) => ({ ...options, device: await device() });

async function oracle(x: Float32Array, graph = tinyGraph()): Promise<Float32Array> {
  const shape = [x.length / SIDE / SIDE, 1, SIDE, SIDE];
  return (await runOnnxruntime(exportOnnx(graph), { image: floatTensor(shape, x) })).logits!.data as Float32Array;
}

function expectClose(actual: Float32Array, expected: Float32Array): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
}

/** In pieces of a few bytes, as a slow network would give it. */
function trickle(bytes: Uint8Array, size = 700): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, (at += size)));
    },
  });
}

afterEach(() => vi.unstubAllGlobals());

describe('sources', () => {
  const bytes = file();
  const url = `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`;
  it.each<[string, () => Parameters<typeof load>[0]]>([
    ['an address', () => url],
    ['a URL', () => new URL(url)],
    ['an answer', () => new Response(bytes.slice())],
    ['a promise of an answer', () => fetch(url)],
    ['a stream', () => trickle(bytes)],
    ['a buffer', () => bytes.slice().buffer],
    ['an array in the middle of a buffer', () => Uint8Array.of(1, 2, 3, ...bytes, 4).subarray(3, 3 + bytes.length)],
    ['a blob', () => new Blob([bytes.slice()])],
  ])('%s', async (_, source) => {
    const progress: number[] = [];
    let total: number | undefined;
    const model = await load(
      source(),
      await onTestGpu({
        onProgress(at) {
          progress.push(at.loaded);
          total = at.total;
        },
      }),
    );
    const x = pixels(2);
    const { logits } = await model.run(x);
    expectClose(logits!, await oracle(x));
    expect(progress.at(-1)).toBe(bytes.length);
    expect(total).toBe(bytes.length);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(model.meta.classNames).toEqual(['a', 'b', 'c']);
    expect(model.inputs).toEqual([{ name: 'image', shape: ['N', 1, SIDE, SIDE] }]);
    expect(model.outputs.map(({ name }) => name)).toEqual(['logits']);
    model.dispose();
  });

  it('knows the total as soon as the header is there', async () => {
    const totals: (number | undefined)[] = [];
    const model = await load(trickle(bytes, 300), await onTestGpu({ onProgress: ({ total }) => totals.push(total) }));
    expect(totals[0]).toBeUndefined();
    expect(totals.indexOf(bytes.length)).toBeLessThan(totals.length / 2);
    model.dispose();
  });

  it('says what is wrong with an address, and stops when asked', async () => {
    const answer = (status: number, statusText: string) =>
      vi.stubGlobal('fetch', async () => new Response('', { status, statusText }));
    answer(404, 'Not Found');
    const missing = load('https://example.org/none.wgslim', await onTestGpu());
    await expect(missing).rejects.toThrow(FetchError);
    await expect(missing).rejects.toMatchObject({ status: 404, message: expect.stringContaining('404 Not Found') });
    vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('no network')));
    await expect(load('https://example.org/x', await onTestGpu())).rejects.toThrow(/example\.org\/x.*no network/);
    await expect(load(7 as never, await onTestGpu())).rejects.toThrow(InputError);
    const controller = new AbortController();
    const stopped = load(
      trickle(bytes, 100),
      await onTestGpu({ signal: controller.signal, onProgress: () => controller.abort(new Error('enough')) }),
    );
    await expect(stopped).rejects.toThrow('enough');
    await expect(load(bytes, await onTestGpu({ signal: AbortSignal.abort(new Error('never')) }))).rejects.toThrow(
      'never',
    );
  });

  it('leaves nothing on the GPU of a file that turns out damaged', async () => {
    const gpu = await wrapped();
    const damaged = bytes.slice();
    damaged[damaged.length - 9]! ^= 1;
    const before = gpu.buffers.statistics;
    for (const bad of [damaged, bytes.slice(0, -1), bytes.slice(0, 50), new Uint8Array(0)]) {
      await expect(load(trickle(bad), await onTestGpu())).rejects.toThrow(InputError);
    }
    expect(gpu.buffers.statistics).toMatchObject({ bytes: before.bytes, buffers: before.buffers });
  });
});

/** The Gpu that the runtime made of the test's device. */
async function wrapped(): Promise<Gpu> {
  const { deviceSource } = await import('../../src/runtime/devices.ts');
  return deviceSource(await device()).acquire();
}

describe('run', () => {
  it('takes any number of samples, and keeps few plans', async () => {
    const model = await load(file(), await onTestGpu({ batch: 3 }));
    for (const batch of [3, 1, 2, 7, 4, 5, 3, 6]) {
      const x = pixels(batch);
      expectClose((await model.run({ image: x })).logits!, await oracle(x));
    }
    model.dispose();
  });

  it('answers calls that overlap in their own right', async () => {
    const model = await load(file(), await onTestGpu());
    const batches = [1, 2, 1, 3, 2, 1].map((batch, i) => pixels(batch).map((v) => v * (i + 1)));
    const answers = await Promise.all(batches.map((x) => model.run(x)));
    for (const [i, x] of batches.entries()) expectClose(answers[i]!.logits!, await oracle(x));
    model.dispose();
  });

  it('takes images: resized and normalised as the file remembers', async () => {
    const model = await load(file(), await onTestGpu());
    const [width, height] = [21, 13];
    const grey = Uint8Array.from({ length: width * height }, (_, i) => (i * 37) % 256);
    const rgba = (bytes: Uint8Array) => Uint8ClampedArray.from([...bytes].flatMap((v) => [v, v, v, 255]));
    const whole = { left: 0, top: 0, width: SIDE, height: SIDE };
    const small = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => (i * 91) % 256);
    const expected = [resample(grey, width, height, { width: SIDE, height: SIDE, crop: whole }), small].map((bytes) =>
      normaliseOnHost(bytes, [1, SIDE, SIDE], { ...META.preprocess, channels: 'rgb' }),
    );
    const images = [
      { data: rgba(grey), width, height },
      { data: rgba(small), width: SIDE, height: SIDE },
    ];
    const x = Float32Array.of(...expected[0]!, ...expected[1]!);
    expectClose((await model.run(images)).logits!, await oracle(x));
    expectClose((await model.run({ image: images[1]! })).logits!, await oracle(expected[1]!));
    expect(model.memory().images).toBeGreaterThan(0);
    model.dispose();
  });

  it('refuses inputs that do not fit, by name', async () => {
    const model = await load(file(), await onTestGpu());
    const wrong: [unknown, RegExp][] = [
      [new Float32Array(0), /image takes 64 numbers a sample/],
      [new Float32Array(65), /65 are no whole number of samples/],
      [{ picture: pixels(1) }, /no input picture; it has image/],
      [{}, /Input image is missing/],
      [{ image: new Float64Array(64) }, /must be a Float32Array or an image, not Float64Array/],
      [{ image: { data: pixels(1), shape: [1, 1, 8, 9] } }, /64 numbers, which are not \[1, 1, 8, 9\]/],
      [{ image: { data: pixels(1), shape: [1, 1, 4, 16] } }, /image/],
      [{ data: new Uint8ClampedArray(3), width: 1, height: 1 }, /3 bytes instead of four/],
      [{ data: new Uint8ClampedArray(0), width: 0, height: 0 }, /no pixels/],
      [[], /at least one image/],
      [null, /run takes numbers/],
    ];
    for (const [value, message] of wrong) {
      const run = model.run(value as never);
      await expect(run, String(message)).rejects.toThrow(message);
      await expect(run).rejects.toThrow(InputError);
    }
    // None of it has hurt the model.
    expectClose((await model.run(pixels(1))).logits!, await oracle(pixels(1)));
    model.dispose();
  });

  it('takes several inputs by name, and shapes that the model leaves open', async () => {
    const graph: Graph = sketchGraph({
      inputs: { a: ['N', 'width'], b: ['N', 'width'] },
      outputs: ['sum', 'product'],
      initializers: {},
      nodes: [
        ['Add', ['a', 'b'], ['sum']],
        ['Mul', ['a', 'b'], ['product']],
      ],
    });
    const model = await load<'a' | 'b', 'sum' | 'product'>(file(graph), await onTestGpu());
    const a = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] };
    const b = { data: Float32Array.of(6, 5, 4, 3, 2, 1), shape: [2, 3] };
    const { sum, product } = await model.run({ a, b });
    expect([...sum]).toEqual([7, 7, 7, 7, 7, 7]);
    expect([...product]).toEqual([6, 10, 12, 12, 10, 6]);
    // An input by the name of an image's field.
    const named = sketchGraph({
      inputs: { width: ['N', 2] },
      outputs: ['twice'],
      initializers: {},
      nodes: [['Add', ['width', 'width'], ['twice']]],
    });
    const other = await load<'width', 'twice'>(file(named), await onTestGpu());
    expect([...(await other.run({ width: Float32Array.of(1, 2) })).twice]).toEqual([2, 4]);
    other.dispose();
    await expect(model.run(a)).rejects.toThrow(/2 inputs, so run needs them by name: a, b/);
    await expect(model.run({ a: a.data, b })).rejects.toThrow(/give \{ data, shape \}/);
    model.dispose();
  });
});

describe('memory', () => {
  it('counts the weights once, whatever the batch sizes, and all of it is freed', async () => {
    const gpu = await wrapped();
    const first = await load(file(), await onTestGpu()); // staging buffers stay in the pool
    await first.run(pixels(3));
    first.dispose();
    const before = gpu.buffers.statistics;
    const bytes = file();
    const model = await load(bytes, await onTestGpu());
    const one = model.memory();
    const floats = 4 * (36 + 4 + CLASSES * 4 * SIDE * SIDE + CLASSES);
    expect(one.weights).toBeGreaterThanOrEqual(floats);
    expect(one.weights).toBeLessThan(floats * 1.05);
    expect(one.file).toBe(bytes.length);
    expect(one.images).toBe(0);
    await model.run(pixels(3));
    const two = model.memory();
    expect(two.weights).toBe(one.weights);
    expect(two.activations).toBeGreaterThan(2 * one.activations);
    model.dispose();
    expect(model.memory()).toEqual({ weights: 0, activations: 0, images: 0, file: 0 });
    expect(gpu.buffers.statistics).toMatchObject({ bytes: before.bytes, buffers: before.buffers });
    await expect(model.run(pixels(1))).rejects.toThrow(/disposed/);
    model.dispose();
  });

  it('has small weights but where it is to be fast, and the same outputs', async () => {
    const graph = tinyGraph();
    const initializers = new Map(graph.initializers);
    for (const [name, tensor] of initializers) {
      if (tensor.shape.length < 2) continue;
      const data = (tensor.data as Float32Array).map((value, i) => (i % 5 === 0 ? value : 0));
      initializers.set(name, floatTensor(tensor.shape, data));
    }
    const bytes = roundWeights({ ...graph, initializers }, 4, {});
    const payload = [...decodeModel(bytes, { fileName: 'tiny' }).encodings.values()].reduce((n, t) => n + t.bytes, 0);
    const x = pixels(3);
    const fast = await load(bytes, { ...(await onTestGpu()), weights: 'fast' });
    const small = await load(trickle(bytes), await onTestGpu());
    const expected = (await fast.run(x)).logits!;
    expect(relativeError((await small.run(x)).logits!, expected)).toBeLessThan(1e-5);
    expect(small.memory().weights).toBeGreaterThan(0.9 * payload);
    expect(small.memory().weights).toBeLessThan(fast.memory().weights);
    fast.dispose();
    small.dispose();
  });

  it.each([0, 1, 2, 4])('is all freed where a run is under way, whose model goes %i turns later', async (turns) => {
    const gpu = await wrapped();
    const other = await load(file(), await onTestGpu());
    const x = pixels(2);
    const expected = (await other.run(x)).logits!;
    const before = gpu.buffers.statistics;
    const model = await load(file(), await onTestGpu());
    const image = { data: new Uint8ClampedArray(4 * 9 * 7), width: 9, height: 7 };
    // Shapes that are new, so that plans are being compiled.
    const runs = [model.run(pixels(3)), model.run(image), model.run(pixels(5))];
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
    model.dispose();
    for (const outcome of await Promise.allSettled(runs)) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(InputError);
    }
    // Nothing that was freed was used: the device would tell the next one who asks.
    await gpu.idle();
    expect((await other.run(x)).logits).toEqual(expected);
    const after = gpu.buffers.statistics;
    other.dispose();
    // Read-backs stay in the pool.
    expect(after.buffers - before.buffers).toBeLessThanOrEqual(3);
    expect(after.bytes - before.bytes).toBeLessThan(1000);
  });

  it('refuses what the device cannot hold, before anything is allocated', async () => {
    const own = await limited(2000);
    const { created } = own.buffers.statistics;
    const refused = load(trickle(file()), { device: own.device });
    await expect(refused).rejects.toThrow(LimitError);
    await expect(refused).rejects.toThrow(/tensor dense\.weight takes 3072 bytes.*maxStorageBufferBindingSize 2000/);
    expect(own.buffers.statistics.created).toBe(created);
    own.destroy();
  });

  it('takes packed weights as long as they fit packed', async () => {
    const own = await limited(2000);
    // 768 weights of a byte each.
    const rounded = roundWeights(tinyGraph(), 8, {});
    const x = pixels(1);
    const model = await load(trickle(rounded), { device: own.device });
    const { logits } = await model.run(x);
    model.dispose();
    const elsewhere = await load(rounded, await onTestGpu());
    expect(logits).toEqual((await elsewhere.run(x)).logits);
    elsewhere.dispose();
    own.destroy();
  });

  it('refuses a layer that is small in the file and large on the device, and frees what it had put there', async () => {
    const graph = tinyGraph();
    const weight = graph.initializers.get('dense.weight')!;
    // In the file one weight and a gap; rows of slots on the device, or float32.
    const sparse = new Float32Array(weight.data.length);
    sparse[700] = 0.5;
    const initializers = new Map(graph.initializers).set('dense.weight', floatTensor(weight.shape, sparse));
    const bytes = encodeModel({ ...graph, initializers }, new Map(), {});
    const decoded = decodeModel(bytes, { fileName: 'sparse' });
    const { packed } = packTensors((await testGpu()).capabilities, decoded).get('dense.weight')!;
    const takes = packed?.weights.words.byteLength ?? 4 * sparse.length;
    expect(decoded.encodings.get('dense.weight')!.bytes).toBeLessThan(takes / 2);
    const own = await limited(takes - 4);
    const before = own.buffers.statistics;
    const refused = load(trickle(bytes), { device: own.device });
    await expect(refused).rejects.toThrow(`dense.weight takes ${takes} bytes`);
    expect(own.buffers.statistics.created).toBeGreaterThan(before.created);
    expect(own.buffers.statistics.bytes).toBe(before.bytes);
    own.destroy();
  });
});

/** A Gpu of its own, as the runtime makes it of the device, that binds so many bytes. */
async function limited(maxBindingBytes: number): Promise<Gpu> {
  const { gpu } = await openGpu();
  const { deviceSource } = await import('../../src/runtime/devices.ts');
  const own = await deviceSource(gpu.device).acquire();
  Object.assign(own.capabilities, { maxBindingBytes });
  return own;
}

describe('without WebGPU', () => {
  it('says so', async () => {
    vi.stubGlobal('navigator', {});
    await expect(load(file())).rejects.toThrow(NoAdapterError);
    vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } });
    await expect(load(file())).rejects.toThrow(NoAdapterError);
    await expect(load(file(), { device: {} as never })).rejects.toThrow(InputError);
  });
});
