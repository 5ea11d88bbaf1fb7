/** Models as something to be measured: inference, or a training step, on generated inputs. */
import { InferenceModel } from '../../engine/inference.ts';
import { liveBytes } from '../../engine/liveBytes.ts';
import { prepareGraph } from '../../engine/prepare.ts';
import { elementsOf } from '../../engine/value.ts';
import type { Precision } from '../../gpu/capabilities.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import { packedParameters } from '../../runtime/packModel.ts';
import type { WeightMemory } from '../../runtime/packWeights.ts';
import { memoryDataset } from '../../train/data/dataset.ts';
import { defaultPreprocess, labelOffsetFor } from '../../train/data/preprocess.ts';
import { TrainingFeed } from '../../train/feed.ts';
import { Trainer } from '../../train/trainer.ts';
import { type OpenedData, openTrainingData } from '../data.ts';
import { type DataFlags, readDataFlags } from '../dataFlags.ts';
import { type ClassifierShape, checkClassifier, namingFile, type OpenedModel } from '../model.ts';
import type { Subject } from './measure.ts';

/** Checks everything that can be checked before a GPU is touched, and returns what compiles the rest. */
export function prepareInference(
  model: OpenedModel,
  batch: number,
  { weights, precision }: { weights?: WeightMemory; precision?: Precision } = {},
): (gpu: Gpu) => Promise<Subject> {
  namingFile(model.path, () => prepareGraph(model.graph, { batch }));
  return async (gpu) => {
    const compiled = await InferenceModel.compile(gpu, model.graph, {
      batch,
      precision,
      ...(model.compressed && { parameters: packedParameters(gpu, model.compressed, weights) }),
    });
    for (const { name, shape } of compiled.inputs) compiled.write(name, generated(elementsOf(shape)));
    return subjectOf(compiled);
  };
}

function subjectOf(model: InferenceModel | Trainer): Subject {
  const { plan, memory, compiled } = model;
  return { plan, memory, live: liveBytes(compiled), dispose: () => model.dispose() };
}

/** A step of stochastic gradient descent with momentum, on generated samples or the first batch of `--data`. */
export async function prepareTraining(
  model: OpenedModel,
  flags: Omit<DataFlags, 'data'> & { data?: string },
  batch: number,
): Promise<(gpu: Gpu) => Promise<Subject>> {
  const classifier = checkClassifier(model);
  const { dataset, preprocess } =
    flags.data === undefined
      ? generatedData(classifier, batch)
      : await openTrainingData(await readDataFlags({ ...flags, data: flags.data }, model.preprocess), classifier);
  return async (gpu) => {
    const trainer = await Trainer.create(gpu, {
      graph: model.graph,
      batch,
      format: dataset,
      preprocess,
      augmented: false,
      batchNorm: 'train',
      labelSmoothing: 0,
      // A rate of 0 does all the work of an update and leaves the weights, so that every replay computes the same.
      optimizer: { kind: 'sgd', learningRate: 0, momentum: 0.9, nesterov: false, weightDecay: 1e-4, scaleRate: 1 },
    });
    const labelOffset = labelOffsetFor(preprocess, classifier.outputs);
    trainer.step(await new TrainingFeed(dataset, { batch, seed: 1, labelOffset }).at(0), 0, 0);
    return subjectOf(trainer);
  };
}

/** Noise of the shape that the model takes, in all of its classes. */
function generatedData({ inputShape, outputs }: ClassifierShape, count: number): OpenedData {
  const shape = inputShape.slice(1);
  const [first, second, third] = shape;
  // NHWC images are held planar, as every data set is.
  const isNhwc = shape.length === 3 && first !== 1 && first !== 3 && (third === 1 || third === 3);
  const sampleShape = isNhwc ? [third!, first!, second!] : shape;
  const samples = generated(count * elementsOf(sampleShape));
  const labels = Uint32Array.from({ length: count }, (_, i) => i % outputs);
  const dataset = memoryDataset({ name: 'generated', split: 'train', sampleShape, classes: outputs, samples, labels });
  // As many outputs as classes: no label is moved.
  return { dataset, preprocess: { ...defaultPreprocess('float32'), labelOffset: 0 } };
}

/** Uniform in [0, 1), the same every time: a linear congruential generator (Numerical Recipes). */
function generated(count: number): Float32Array<ArrayBuffer> {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  });
}
