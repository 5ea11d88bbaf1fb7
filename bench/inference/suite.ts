import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceModel } from '../../src/engine/inference.ts';
import { elementsOf } from '../../src/engine/value.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { foldBatchNorm } from '../../src/graph/passes/foldBatchNorm.ts';
import { readOnnxFile } from '../../src/onnx/node.ts';
import { packedParameters } from '../../src/runtime/packModel.ts';
import type { Contender } from '../contender.ts';
import { randomFloats } from '../data.ts';
import { OURS, profilePlan } from '../ours.ts';
import { createSession, ORT, type Ort } from '../peers/onnxruntime.ts';
import type { Tf } from '../peers/tfjs.ts';
import { type Torch, torchInference } from '../peers/torch.ts';
import type { Case } from '../suite.ts';
import { quantizeToInt8 } from './int8.ts';
import { inferTfjs } from './tfjs.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(process.env.WGSLIM_DATA ?? join(root, '../shared/data'), 'models');

interface Problem {
  name: string;
  file: string;
  batch: number;
  /** Without the batch. */
  sample: readonly number[];
}

const problems: readonly Problem[] = [
  { name: 'ResNet-20 b1', file: 'resnet20-cifar10.onnx', batch: 1, sample: [3, 32, 32] },
  { name: 'ResNet-20 b32', file: 'resnet20-cifar10.onnx', batch: 32, sample: [3, 32, 32] },
  { name: 'MobileNet v1 0.25 128 b1', file: 'mobilenet-v1-0.25-128-imagenet.onnx', batch: 1, sample: [3, 128, 128] },
  { name: 'SqueezeNet 1.1 b1', file: 'squeezenet1.1-imagenet.onnx', batch: 1, sample: [3, 227, 227] },
];

const INT8 = problems.filter(({ file }) => file === 'resnet20-cifar10.onnx');
/** Eight bits differ from float32 by more than two float32 computations do; the difference is in the table. */
const INT8_TOLERANCE = 0.25;

/** Whole networks, from the ONNX files in WGSLIM_DATA/models. */
export function inferenceCases(): Case[] {
  const float = problems.map(
    (problem): Case => ({
      name: problem.name,
      ours: ({ gpu }) => ours(gpu, problem),
      peers: ({ peers: { onnxruntime, torch } }) => [
        ...(onnxruntime ? [() => theirs(onnxruntime, problem)] : []),
        ...(torch ? [() => pytorch(torch, problem)] : []),
      ],
    }),
  );
  const int8 = INT8.map(
    (problem): Case => ({
      name: `${problem.name}, int8`,
      tolerance: INT8_TOLERANCE,
      ours: ({ gpu }) => oursInt8(gpu, problem),
      peers: ({ gpu, peers: { onnxruntime, tfjs, torch } }) => [
        async () => ({ ...(await ours(gpu, problem)), name: `${OURS}, float32` }),
        ...(tfjs ? [() => tensorflow(tfjs, problem)] : []),
        ...(onnxruntime ? [() => theirs(onnxruntime, problem)] : []),
        ...(torch ? [() => pytorch(torch, problem)] : []),
      ],
    }),
  );
  return [...float, ...int8];
}

async function tensorflow(tf: Tf, problem: Problem): Promise<Contender> {
  const { batch, sample } = problem;
  const data = randomFloats(elementsOf([batch, ...sample]), 1);
  return inferTfjs(tf, await readOnnxFile(modelPath(problem)), batch, sample, data);
}

async function pytorch(torch: Torch, problem: Problem): Promise<Contender> {
  const shape = [problem.batch, ...problem.sample];
  const graph = foldBatchNorm(await readOnnxFile(modelPath(problem)));
  return torchInference(torch, graph, { shape, data: randomFloats(elementsOf(shape), 1) });
}

async function oursInt8(gpu: Gpu, problem: Problem): Promise<Contender> {
  const file = await quantizeToInt8(gpu, await readOnnxFile(modelPath(problem)), dirname(folder));
  return contender(
    await InferenceModel.compile(gpu, file.graph, {
      batch: problem.batch,
      parameters: packedParameters(gpu, file),
    }),
  );
}

function modelPath({ file }: Problem): string {
  const path = join(folder, file);
  if (!existsSync(path)) throw new Error(`${path} is not there; set WGSLIM_DATA to the folder that holds models/`);
  return path;
}

async function ours(gpu: Gpu, problem: Problem): Promise<Contender> {
  const { batch } = problem;
  return contender(await InferenceModel.compile(gpu, await readOnnxFile(modelPath(problem)), { batch }));
}

function contender(model: InferenceModel): Contender {
  const [{ name, shape }] = model.inputs;
  const [output] = model.outputs;
  const inputs = new Map([[name, randomFloats(elementsOf(shape), 1)]]);
  return {
    name: OURS,
    run: async () => (await model.run(inputs)).get(output.name) as Float32Array,
    profile: () => profilePlan(model.plan),
    plan: model.plan,
    dispose: () => model.dispose(),
  };
}

async function theirs(ort: Ort, problem: Problem): Promise<Contender> {
  const session = await createSession(ort, await readFile(modelPath(problem)));
  const shape = [problem.batch, ...problem.sample];
  const data = randomFloats(elementsOf(shape), 1);
  const [name] = session.inputNames;
  return {
    name: ORT,
    async run() {
      const outputs = await session.run({ [name]: new ort.Tensor('float32', data, shape) });
      const [output] = Object.values(outputs);
      return output.data;
    },
    dispose: () => void session.release(),
  };
}
