import { expect, it } from 'vitest';
import { calibrateActivations } from '../../src/compress/calibrateActivations.ts';
import { quantizeGraph } from '../../src/compress/quantizeGraph.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { TrainingFeed } from '../../src/train/feed.ts';
import { runOnnxruntime } from '../onnx/ort.ts';
import { testGpu } from '../support/gpu.ts';
import { cnn, digits } from '../train/problems.ts';

const preprocess = { ...defaultPreprocess(), mean: [0.3], std: [0.5] };

it.each([
  { powerOfTwo: false, each: 2 ** 0.5 },
  { powerOfTwo: true, each: 2 },
])('takes the scales that lose least of the values that onnxruntime computes: %j', async ({ powerOfTwo, each }) => {
  const dataset = await digits({ count: 150 });
  const graph = cnn(9);
  const { activations } = quantizeGraph(graph, {
    weights: { bits: 8, perChannel: true, initial: 'mse' },
    activations: { bits: 4, powerOfTwo },
    layers: {},
    skip: [],
  });
  expect(activations.map(({ value, signed }) => [value, signed])).toEqual([
    ['image', true],
    ['pool1', false],
    ['flatten', false],
  ]);
  const progress: [number, number][] = [];
  const scales = await calibrateActivations(await testGpu(), {
    graph,
    activations,
    dataset,
    preprocess,
    samples: 140,
    seed: 8,
    onProgress: (done, total) => progress.push([done, total]),
  });
  expect(progress).toEqual([64, 128, 192, 256].map((done) => [done, 256]));
  expect([...scales.keys()]).toEqual(activations.map(({ scale }) => scale));

  const seen = new Map<string, number[]>(activations.map(({ value }) => [value, []]));
  const feed = new TrainingFeed(dataset, { batch: 64, seed: 8 });
  for (let step = 0; step < 2; step++) {
    const { samples } = await feed.at(step);
    const image = Float32Array.from(samples, (pixel) => (pixel / 255 - 0.3) / 0.5);
    const inner = { ...graph, outputs: ['pool1', 'flatten'].map((name) => ({ name, dtype: 'float32' as const })) };
    const known = {
      image: { dtype: 'float32' as const, shape: [64, 1, 14, 14], data: image },
    };
    const values = { ...known, ...(await runOnnxruntime(exportOnnx(inner), known)) };
    for (const [name, numbers] of seen) numbers.push(...(values[name as 'image'].data as Float32Array));
  }
  for (const { value, scale, signed } of activations) {
    const [low, high] = signed ? [-8, 7] : [0, 15];
    const lost = (step: number) =>
      seen.get(value)!.reduce((sum, x) => {
        return sum + (x - step * Math.round(Math.min(Math.max(x / step, low), high))) ** 2;
      }, 0);
    const { shape, data } = scales.get(scale)!;
    expect(shape).toEqual([1]);
    const [got] = data as Float32Array;
    if (powerOfTwo) expect(Math.log2(got!)).toBe(Math.round(Math.log2(got!)));
    for (let tried = -4; tried <= 4; tried++) {
      expect(lost(got!)).toBeLessThanOrEqual(lost(got! * each ** tried) * (1 + 1e-4));
    }
  }
});

it('stops when it is told to, and frees its buffers', async () => {
  const gpu = await testGpu();
  const dataset = await digits({ count: 150 });
  const graph = cnn(9);
  const activations = [{ value: 'pool1', scale: 's', signed: false, bits: 8, powerOfTwo: true }];
  const options = { graph, activations, dataset, preprocess, samples: 128, seed: 8 };
  await calibrateActivations(gpu, options);
  const { bytes, buffers } = gpu.buffers.statistics;
  const controller = new AbortController();
  const stopped = calibrateActivations(gpu, {
    ...options,
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')),
  });
  await expect(stopped).rejects.toThrow('enough');
  expect(gpu.buffers.statistics).toMatchObject({ bytes, buffers });
});
