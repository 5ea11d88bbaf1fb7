import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { InferenceModel } from '../../src/engine/inference.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import { allocateSamples } from '../../src/train/data/dataset.ts';
import { findMnist } from '../../src/train/data/node/mnistPackage.ts';
import { openDataset } from '../../src/train/data/node/openDataset.ts';
import { normaliseOnHost } from '../../src/train/data/normalise.ts';
import { parsePreprocess } from '../../src/train/data/preprocess.ts';
import { testGpu } from '../support/gpu.ts';
import { relativeError } from '../support/numbers.ts';

const data = process.env.WGSLIM_DATA ?? join(dirname(fileURLToPath(import.meta.url)), '../../../shared/data');
const cifar = { path: join(data, 'cifar10'), fields: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } };
const samples = join(data, 'imagenet-samples');

// Real networks on real images with the preprocessing that SOURCES.md beside them gives.
const models = [
  { file: 'resnet20-cifar10.onnx', ...cifar, batch: 8 },
  { file: 'resnet56-cifar10.onnx', ...cifar, batch: 3 },
  { file: 'mnist-cntk.onnx', path: findMnist() as string, fields: {}, batch: 8 },
  {
    file: 'squeezenet1.1-imagenet.onnx',
    path: samples,
    fields: { scale: 1, mean: [104, 117, 123], channels: 'bgr', resize: '256x256', crop: 227 },
    batch: 2,
  },
  {
    file: 'mobilenet-v1-0.25-128-imagenet.onnx',
    path: samples,
    fields: { scale: 1 / 127.5, mean: 1, resize: 146, crop: 128 },
    batch: 4,
  },
];

describe.skipIf(!existsSync(data))(`networks in ${data} (skipped where the folder is absent)`, () => {
  it.each(models)('$file answers as onnxruntime does', async ({ file, path, fields, batch }) => {
    const modelPath = join(data, 'models', file);
    const preprocess = parsePreprocess(fields);
    const dataset = await openDataset(path, { split: 'test', preprocess, limit: batch });
    const indices = Uint32Array.from({ length: batch }, (_, i) => i);
    const raw = allocateSamples(dataset, batch);
    await dataset.read(indices, raw, new Uint32Array(batch));
    const input = normaliseOnHost(raw, dataset.sampleShape, preprocess) as Float32Array<ArrayBuffer>;

    const model = await InferenceModel.compile(await testGpu(), await readOnnxFile(modelPath), { batch });
    const ours = (await model.run(new Map([[model.inputs[0].name, input]]))).get(model.outputs[0].name) as Float32Array;

    const session = await ort.InferenceSession.create(modelPath);
    const size = input.length / batch;
    const theirs: number[] = [];
    // One by one: some of the networks were exported with a batch of 1, which wgslim generalises and onnxruntime does not.
    for (let i = 0; i < batch; i++) {
      const image = new ort.Tensor('float32', input.subarray(i * size, (i + 1) * size), [
        1,
        ...model.inputs[0].shape.slice(1),
      ]);
      const answer = await session.run({ [session.inputNames[0]]: image });
      theirs.push(...(answer[session.outputNames[0]].data as Float32Array));
    }
    expect(relativeError(ours, theirs)).toBeLessThan(1e-4);
    model.dispose();
  });
});
