/** Quantized networks in our engine and, exported, in onnxruntime: how far their answers agree. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { calibrateActivations } from '../../src/compress/calibrateActivations.ts';
import { deployToBytes } from '../../src/compress/deploy.ts';
import { quantizeGraph } from '../../src/compress/quantizeGraph.ts';
import { withInitializers } from '../../src/compress/state.ts';
import { InferenceModel } from '../../src/engine/inference.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { denseCodes } from '../../src/format/denseCodes.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import type { Graph } from '../../src/graph/types.ts';
import { exportQuantized, type QuantizedExportOptions } from '../../src/onnx/exportQuantized.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import type { QuantizedWeight } from '../../src/onnx/quantizedWeight.ts';
import { loadModel } from '../../src/runtime/model.ts';
import { allocateSamples, type Dataset } from '../../src/train/data/dataset.ts';
import { findMnist } from '../../src/train/data/node/mnistPackage.ts';
import { openDataset } from '../../src/train/data/node/openDataset.ts';
import { normaliseOnHost } from '../../src/train/data/normalise.ts';
import { defaultPreprocess, type Preprocess, parsePreprocess } from '../../src/train/data/preprocess.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const data = process.env.WGSLIM_DATA ?? join(root, '../shared/data');

export interface Subject {
  model: string;
  images: string;
  preprocess: Preprocess;
}

export const lenet: Subject = {
  model: join(root, 'examples/lenet/lenet5.onnx'),
  images: findMnist() ?? '',
  preprocess: defaultPreprocess(),
};

export const resnet20: Subject = {
  model: join(data, 'models/resnet20-cifar10.onnx'),
  images: join(data, 'cifar10'),
  preprocess: parsePreprocess({ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }),
};

export const isThere = ({ model, images }: Subject) => existsSync(model) && existsSync(images);

export interface QuantizedModel {
  /** As compressed, and what is in it. */
  file: Uint8Array;
  graph: Graph;
  weights: Map<string, QuantizedWeight>;
  test: Dataset;
  preprocess: Preprocess;
}

/** The network with weights of `bits` bits and activations of 8, without training; through a compressed file. */
export async function quantizedModel(
  gpu: Gpu,
  subject: Subject,
  { bits, powerOfTwo }: { bits: number; powerOfTwo: boolean },
): Promise<QuantizedModel> {
  const { preprocess } = subject;
  const source = await readOnnxFile(subject.model);
  const settings = {
    weights: { bits, perChannel: true, initial: 'mse' as const },
    activations: { bits: 8, powerOfTwo },
  };
  const { graph, activations } = quantizeGraph(source, { ...settings, layers: {}, skip: [] });
  const dataset = await openDataset(subject.images, { split: 'train', preprocess, limit: 256 });
  const scales = await calibrateActivations(gpu, {
    graph: source,
    activations,
    dataset,
    preprocess,
    samples: 256,
    seed: 1,
  });
  const file = deployToBytes(withInitializers(graph, scales), 'float16', {});
  const decoded = decodeModel(file, { fileName: 'quantized.wgslim' });
  const weights = new Map<string, QuantizedWeight>();
  for (const [name, encoded] of decoded.encodings) {
    if (encoded.kind !== 'int') continue;
    const { shape, bits, scale, zeroPoint, axis, groupSize } = encoded;
    weights.set(name, { shape, bits, codes: denseCodes(encoded), scale: scale!, zeroPoint, axis, groupSize });
  }
  const test = await openDataset(subject.images, { split: 'test', preprocess });
  return { file, graph: decoded.graph, weights, test, preprocess };
}

export interface Agreement {
  images: number;
  /** Images that both put in the same class. */
  same: number;
  /** Largest difference of two logits. */
  worst: number;
  /** Mean of the differences. */
  mean: number;
  /** Fractions that are in the class of their label. */
  ours: number;
  theirs: number;
}

export async function agreement(
  gpu: Gpu,
  { file, graph, test, preprocess }: QuantizedModel,
  bytes: Uint8Array,
  options: { images: number; batch: number; unpacked?: boolean; session?: ort.InferenceSession.SessionOptions },
): Promise<Agreement> {
  const { images, batch } = options;
  const model = options.unpacked
    ? await InferenceModel.compile(gpu, graph, { batch })
    : (await loadModel(gpu, file, { batch })).model;
  const session = await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: 2,
    logSeverityLevel: 4,
    ...options.session,
  });
  const [input, output] = [model.inputs[0]!, model.outputs[0]!];
  const raw = allocateSamples(test, batch);
  const labels = new Uint32Array(batch);
  const result = { images: 0, same: 0, worst: 0, mean: 0, ours: 0, theirs: 0 };
  try {
    for (let start = 0; start + batch <= images; start += batch) {
      await test.read(
        Uint32Array.from({ length: batch }, (_, i) => start + i),
        raw,
        labels,
      );
      const pixels = normaliseOnHost(raw, test.sampleShape, preprocess) as Float32Array<ArrayBuffer>;
      const answer = (await model.run(new Map([[input.name, pixels]]))).get(output.name) as Float32Array;
      const feeds = { [input.name]: new ort.Tensor('float32', pixels, [...input.shape]) };
      const other = (await session.run(feeds))[output.name]!.data as Float32Array;
      const classes = answer.length / batch;
      for (let i = 0; i < batch; i++) {
        const [a, b] = [answer, other].map((logits) => largest(logits.subarray(i * classes, (i + 1) * classes)));
        result.images++;
        if (a === b) result.same++;
        if (a === labels[i]) result.ours++;
        if (b === labels[i]) result.theirs++;
      }
      answer.forEach((value, i) => {
        const difference = Math.abs(value - other[i]!);
        result.worst = Math.max(result.worst, difference);
        result.mean += difference / classes;
      });
    }
  } finally {
    model.dispose();
    await session.release();
  }
  result.mean /= result.images;
  result.ours /= result.images;
  result.theirs /= result.images;
  return result;
}

function largest(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
}

export const exportOf = ({ graph, weights }: QuantizedModel, options: QuantizedExportOptions = {}) =>
  exportQuantized(graph, weights, options).bytes;

/** How far a logit moves where one input of the last layer moves by one step: s·max|w|. */
export function logitStep({ graph }: QuantizedModel): number {
  const numbers = (name: string | undefined) => graph.initializers.get(name ?? '')?.data as Float32Array;
  const layer = graph.nodes.findLast(({ op }) => op === 'Gemm')!;
  const quantizer = graph.nodes.find(({ outputs }) => outputs[0] === layer.inputs[0])!;
  return numbers(layer.inputs[1]).reduce((max, w) => Math.max(max, Math.abs(w)), 0) * numbers(quantizer.inputs[1])[0]!;
}
