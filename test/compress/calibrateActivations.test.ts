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

it('starts scales of activations at 2·mean|x|/√Qp, by the values that onnxruntime computes', async () => {
  const dataset = await digits({ count: 150 });
  const graph = cnn(9);
  const { activations } = quantizeGraph(graph, {
    weights: { bits: 8, perChannel: true, initial: 'mse' },
    activations: { bits: 4 },
    layers: {},
    skip: [],
  });
  expect(activations.map(({ value, signed }) => [value, signed])).toEqual([
    ['image', true],
    ['pool1', false],
    ['flatten', false],
  ]);
  const progress: number[] = [];
  const scales = await calibrateActivations(await testGpu(), {
    graph,
    activations,
    dataset,
    preprocess,
    samples: 140,
    seed: 8,
    onProgress: (done) => progress.push(done),
  });
  expect(progress).toEqual([64, 128]);
  expect([...scales.keys()]).toEqual(activations.map(({ scale }) => scale));

  const sums = new Map(activations.map(({ value }) => [value, 0]));
  const feed = new TrainingFeed(dataset, { batch: 64, seed: 8 });
  for (let step = 0; step < 2; step++) {
    const { samples } = await feed.at(step);
    const image = Float32Array.from(samples, (pixel) => (pixel / 255 - 0.3) / 0.5);
    const inner = { ...graph, outputs: ['pool1', 'flatten'].map((name) => ({ name, dtype: 'float32' as const })) };
    const known = {
      image: { dtype: 'float32' as const, shape: [64, 1, 14, 14], data: image },
    };
    const values = { ...known, ...(await runOnnxruntime(exportOnnx(inner), known)) };
    for (const [name, sum] of sums) {
      const { data } = values[name as 'image'];
      const mean = (data as Float32Array).reduce((total, x) => total + Math.abs(x), 0) / data.length;
      sums.set(name, sum + mean / 2);
    }
  }
  for (const { value, scale, signed } of activations) {
    const expected = (2 * sums.get(value)!) / Math.sqrt(signed ? 7 : 15);
    const got = scales.get(scale)!;
    expect(got.shape).toEqual([1]);
    expect(Math.abs((got.data as Float32Array)[0]! - expected)).toBeLessThan(1e-4 * expected);
  }
});

it('stops when it is told to, and frees its buffers', async () => {
  const gpu = await testGpu();
  const dataset = await digits({ count: 150 });
  const graph = cnn(9);
  const activations = [{ value: 'pool1', scale: 's', signed: false, bits: 8 }];
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
