import { beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/graph/errors.ts';
import type { Graph } from '../../src/graph/types.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { allocateSamples, type Dataset, memoryDataset } from '../../src/train/data/dataset.ts';
import { defaultPreprocess, type Preprocess } from '../../src/train/data/preprocess.ts';
import { evaluate, outputClasses } from '../../src/train/evaluate.ts';
import { runOnnxruntime } from '../onnx/ort.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats } from '../support/numbers.ts';
import { cnn, digits, mlp, Net } from './problems.ts';

let dataset: Dataset;
beforeAll(async () => {
  dataset = await digits({ count: 130, first: 300 });
});

const preprocess: Preprocess = { ...defaultPreprocess(), mean: [0.1307], std: [0.3081] };

/** The whole data set through onnxruntime in one batch, and the metrics of its scores in float64. */
async function oracle(
  graph: Graph,
  data: Dataset,
  options: {
    shape: number[];
    offset?: number;
    probabilities?: 'softmax' | 'log';
    pixels?: (x: Float32Array) => Float32Array;
  },
) {
  const { shape, offset = 0, probabilities, pixels = (x: Float32Array) => x } = options;
  const raw = allocateSamples(data, data.size);
  const labels = new Uint32Array(data.size);
  await data.read(
    Uint32Array.from({ length: data.size }, (_, i) => i),
    raw,
    labels,
  );
  const { scale, mean, std } = data.kind === 'uint8' ? preprocess : defaultPreprocess('float32');
  const x = pixels(Float32Array.from(raw, (p) => (p * scale - mean[0]!) / std[0]!));
  const outputs = await runOnnxruntime(exportOnnx(graph), {
    image: { dtype: 'float32', shape: [data.size, ...shape], data: x },
  });
  const scores = Object.values(outputs)[0]!.data as Float32Array;
  const classes = scores.length / data.size;
  let [loss, top1, top5] = [0, 0, 0];
  labels.forEach((label, i) => {
    const row = scores.subarray(i * classes, (i + 1) * classes);
    const target = row[label + offset]!;
    const rank = row.filter((value) => value > target).length;
    if (rank === 0) top1++;
    if (rank < 5) top5++;
    const sum = row.reduce((total, value) => total + Math.exp(value), 0);
    if (probabilities === 'softmax') loss -= Math.log(target);
    else if (probabilities === 'log') loss -= target;
    else loss += Math.log(sum) - target;
  });
  return { images: data.size, loss: loss / data.size, top1: top1 / data.size, top5: top5 / data.size };
}

async function check(graph: Graph, data: Dataset, options: Parameters<typeof oracle>[2], batch: number) {
  const expected = await oracle(graph, data, options);
  const got = await evaluate(await testGpu(), graph, data, {
    preprocess: data.kind === 'uint8' ? preprocess : defaultPreprocess('float32'),
    batch,
  });
  expect(got.images).toBe(expected.images);
  expect(Math.round(got.top1 * got.images)).toBe(Math.round(expected.top1 * expected.images));
  expect(Math.round(got.top5 * got.images)).toBe(Math.round(expected.top5 * expected.images));
  expect(Math.abs(got.loss - expected.loss)).toBeLessThan(1e-4 * expected.loss);
  expect(got.imagesPerSecond).toBeGreaterThan(0);
}

/** A graph with nodes put after its output. */
function followedBy(graph: Graph, ops: [string, Graph['nodes'][number]['attributes']][]): Graph {
  let last = graph.outputs[0]!.name;
  const nodes = [...graph.nodes];
  ops.forEach(([op, attributes], i) => {
    nodes.push({ name: `after${i}`, op, inputs: [last], outputs: [`after${i}`], attributes });
    last = `after${i}`;
  });
  return { ...graph, nodes, outputs: [{ name: last, dtype: 'float32' }] };
}

const part = (data: Dataset, size: number): Dataset => ({ ...data, size });

describe('evaluation agrees with onnxruntime', () => {
  it('with a short last batch', () => check(cnn(1), dataset, { shape: [1, 14, 14] }, 50));
  it('with one sample at a time', () => check(cnn(1), part(dataset, 7), { shape: [1, 14, 14] }, 1));
  it('with a batch larger than the data', () => check(cnn(1), part(dataset, 33), { shape: [1, 14, 14] }, 500));

  it('of a model that ends in Softmax', () => {
    const graph = followedBy(mlp(2), [['Softmax', { axis: 1 }]]);
    return check(graph, dataset, { shape: [1, 14, 14], probabilities: 'softmax' }, 64);
  });
  it('of a model that ends in LogSoftmax and Identity', () => {
    const graph = followedBy(mlp(2), [
      ['LogSoftmax', { axis: -1 }],
      ['Identity', {}],
    ]);
    return check(graph, dataset, { shape: [1, 14, 14], probabilities: 'log' }, 64);
  });

  it('of 1001 outputs, whose first is no class', () => {
    const net = new Net(3, ['N', 196]);
    const graph = net.graph(net.dense('fc', 'image', [1001, 196]));
    return check(graph, dataset, { shape: [196], offset: 1 }, 64);
  });

  it('of a flat input', () => {
    const net = new Net(4, ['N', 196]);
    return check(net.graph(net.dense('fc', 'image', [12, 196])), dataset, { shape: [196] }, 64);
  });

  it('of an input without a dimension for its only channel', () => {
    const net = new Net(4, ['N', 14, 14]);
    const flat = net.add('flatten', 'Flatten', ['image'], { axis: 1 });
    return check(net.graph(net.dense('fc', flat, [10, 196])), dataset, { shape: [14, 14] }, 64);
  });

  it('of an NHWC input with colours', async () => {
    // Colour images: planar in the data set, interleaved in the model's input.
    const [count, side] = [40, 6];
    const samples = Uint8Array.from(randomFloats(5, count * 3 * side * side, 0, 256), Math.floor);
    const colours = memoryDataset({
      name: 'colours',
      split: 'test',
      sampleShape: [3, side, side],
      classes: 10,
      samples,
      labels: Array.from({ length: count }, (_, i) => i % 10),
    });
    const net = new Net(6, ['N', side, side, 3]);
    const planar = net.add('transpose', 'Transpose', ['image'], { perm: [0, 3, 1, 2] });
    const hidden = net.relu('relu', net.conv('conv', planar, [8, 3, side, side]));
    const graph = net.graph(net.dense('fc', net.add('flatten', 'Flatten', [hidden], { axis: 1 }), [10, 8]));
    const plane = side * side;
    const interleaved = (x: Float32Array) =>
      Float32Array.from({ length: x.length }, (_, at) => {
        const pixel = Math.floor(at / 3);
        return x[Math.floor(pixel / plane) * 3 * plane + (at % 3) * plane + (pixel % plane)]!;
      });
    await check(graph, colours, { shape: [side, side, 3], pixels: interleaved }, 16);
  });

  it('of scores in planes of one pixel', () => {
    const net = new Net(7, ['N', 1, 14, 14]);
    const hidden = net.relu('relu', net.conv('conv1', 'image', [8, 1, 14, 14]));
    return check(net.graph(net.conv('conv2', hidden, [10, 8, 1, 1])), dataset, { shape: [1, 14, 14] }, 64);
  });

  it('of samples that are floats', () => {
    const floats = memoryDataset({
      name: 'floats',
      split: 'test',
      sampleShape: [9],
      classes: 4,
      samples: randomFloats(8, 9 * 50, -2, 2),
      labels: Array.from({ length: 50 }, (_, i) => i % 4),
    });
    const net = new Net(9, ['N', 9]);
    return check(net.graph(net.dense('fc', 'image', [4, 9])), floats, { shape: [9] }, 20);
  });

  it('counts an explicit offset of the labels', async () => {
    const net = new Net(4, ['N', 196]);
    const graph = net.graph(net.dense('fc', 'image', [13, 196]));
    const expected = await oracle(graph, dataset, { shape: [196], offset: 3 });
    const got = await evaluate(await testGpu(), graph, dataset, { preprocess: { ...preprocess, labelOffset: 3 } });
    expect(got.loss / expected.loss).toBeCloseTo(1, 4);
    expect([got.top1, got.top5]).toEqual([expected.top1, expected.top5]);
  });
});

describe('evaluation', () => {
  it('reports progress and frees its buffers', async () => {
    const gpu = await testGpu();
    const run = () => {
      const seen: number[] = [];
      return evaluate(gpu, cnn(1), dataset, {
        preprocess,
        batch: 60,
        onProgress: (done, total) => seen.push(done, total),
      }).then(() => seen);
    };
    expect(await run()).toEqual([60, 130, 120, 130, 130, 130]);
    const { bytes, buffers } = gpu.buffers.statistics;
    await run();
    expect(gpu.buffers.statistics).toMatchObject({ bytes, buffers });
  });

  it('stops when it is told to', async () => {
    const gpu = await testGpu();
    const controller = new AbortController();
    const { bytes } = gpu.buffers.statistics;
    const seen: number[] = [];
    const stopped = evaluate(gpu, cnn(1), dataset, {
      preprocess,
      batch: 10,
      signal: controller.signal,
      onProgress(done) {
        seen.push(done);
        if (done >= 30) controller.abort(new Error('enough'));
      },
    });
    await expect(stopped).rejects.toThrow('enough');
    expect(seen).toEqual([10, 20, 30]);
    expect(gpu.buffers.statistics.bytes).toBe(bytes);
  });

  it('says how many scores a model gives', () => {
    expect(outputClasses(followedBy(mlp(2), [['Softmax', { axis: 1 }]]))).toBe(10);
  });

  const flat = (classes: number, length = 196) => {
    const net = new Net(4, ['N', length]);
    return net.graph(net.dense('fc', 'image', [classes, length]));
  };
  it.each<[string, Graph, Partial<Dataset>, Partial<Preprocess>, RegExp]>([
    ['fewer scores than classes', flat(9), {}, {}, /10 classes.*64×9/],
    ['labels that the offset moves out', flat(10), {}, { labelOffset: 1 }, /labels from 1.*64×10/],
    ['samples of another size', flat(10, 200), {}, {}, /takes 200.*1×14×14/],
    [
      'two inputs',
      { ...flat(10), inputs: [...flat(10).inputs, { name: 'b', dtype: 'float32', shape: ['N', 1] }] },
      {},
      {},
      /2 inputs \(image, b\)/,
    ],
    ['no output', { ...flat(10), outputs: [] }, {}, {}, /no output/],
    ['no samples', flat(10), { size: 0 }, {}, /train split is empty/],
    ['a mean for three channels', flat(10), {}, { mean: [0.1, 0.2, 0.3] }, /mean has 3 numbers/],
    ['blue before red in grey images', flat(10), {}, { channels: 'bgr' }, /bgr/],
  ])('refuses %s in one sentence', async (_, graph, changes, settings, message) => {
    const gpu = await testGpu();
    const { bytes } = gpu.buffers.statistics;
    const failed = evaluate(
      gpu,
      graph,
      { ...dataset, ...changes },
      { preprocess: { ...preprocess, ...settings }, batch: 64 },
    );
    const error = await failed.then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('\n');
    expect(gpu.buffers.statistics.bytes).toBe(bytes);
  });
});
