import { type Command, InvalidArgumentError } from 'commander';
import { InferenceModel } from '../../engine/inference.ts';
import { prepareGraph } from '../../engine/prepare.ts';
import { elementsOf } from '../../engine/value.ts';
import { writeFileAtomic } from '../../format/node.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import type { Plan } from '../../gpu/plan.ts';
import { profile } from '../../gpu/profile.ts';
import { InputError } from '../../graph/errors.ts';
import { cachedRoof } from '../../kernels/roofCache.node.ts';
import { memoryDataset } from '../../train/data/dataset.ts';
import { defaultPreprocess, labelOffsetFor } from '../../train/data/preprocess.ts';
import { TrainingFeed } from '../../train/feed.ts';
import { Trainer } from '../../train/trainer.ts';
import { type OpenedData, openTrainingData } from '../data.ts';
import { addPreprocessOptions, type DataFlags, readDataFlags } from '../dataFlags.ts';
import { addBatchOption, addGpuOptions, type BatchFlags, type GpuFlags, wholeNumber } from '../flags.ts';
import { adapterName, withGpu } from '../gpu.ts';
import {
  addModelOptions,
  type ClassifierShape,
  checkClassifier,
  type ModelFlags,
  namingFile,
  type OpenedModel,
  openModel,
} from '../model.ts';
import { printResult } from '../output.ts';
import { profileDocument } from '../profile/document.ts';
import { profilePage } from '../profile/page.ts';
import { describeProfile } from '../profile/text.ts';
import { profileTrace } from '../profile/trace.ts';
import { createProgress } from '../progress.ts';

interface ProfileFlags extends Omit<DataFlags, 'data'>, GpuFlags, BatchFlags, ModelFlags {
  data?: string;
  train?: boolean;
  repeat: number;
  layers?: boolean;
  freshRoof?: boolean;
  trace?: string;
  html?: string;
}

const BATCH = 32;

export function addProfileCommand(program: Command): void {
  const command = program
    .command('profile')
    .argument('<model>', 'an .onnx file or a compressed file')
    .option('--train', 'a training step instead of inference')
    .option('--data <path>', 'with --train: a batch of this data instead of generated samples')
    .option('--split <name>', 'train or test (default train where there is one)')
    .option('--repeat <n>', 'timed runs; the median counts', wholeNumber({ max: 10_000 }), 15)
    .option('--layers', 'one line per dispatch instead of one per kernel')
    .option('--fresh-roof', 'measure the adapter’s peak rates again')
    .option('--trace <out.json>', 'write a Chrome trace, for Perfetto', fileName)
    .option('--html <out.html>', 'write a page with the time per layer, a roofline plot and memory', fileName);
  addGpuOptions(addBatchOption(addModelOptions(addPreprocessOptions(command))))
    .summary('show where GPU time goes, per kernel, and how far from the adapter’s limit')
    .description(
      `Runs a model, or with --train a training step, and prints per kernel the GPU time, arithmetic rate, bandwidth and the fraction of the adapter’s measured roof. The batch is ${BATCH} unless --batch says otherwise.`,
    )
    .addHelpText(
      'after',
      `
Examples:
  wgslim profile resnet20.onnx
  wgslim profile resnet20.onnx --train --batch 64 --trace trace.json --html profile.html
  wgslim profile small.wgslim --layers --json`,
    )
    .action(profileModel);
}

function fileName(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must be the name of a file.');
  return text;
}

async function profileModel(path: string, flags: ProfileFlags): Promise<void> {
  if (flags.data !== undefined && !flags.train) {
    throw new InputError('--data: is for --train; inference is profiled on generated inputs.');
  }
  const model = await openModel(path, flags);
  const batch = flags.batch ?? BATCH;
  const prepared = flags.train ? await prepareTraining(model, flags, batch) : prepareInference(model, batch);
  await withGpu(flags, async (gpu) => {
    const progress = createProgress(flags);
    const subject = await prepared(gpu);
    try {
      const { roof } = await cachedRoof(gpu, { fresh: flags.freshRoof === true });
      const measured = await profile(gpu, subject.plan, {
        repeats: flags.repeat,
        onProgress: (done, total) => progress.update({ label: 'profile', done, total }),
      }).finally(() => progress.stop());
      const mode = flags.train ? 'training' : 'inference';
      const { memory, live } = subject;
      const document = profileDocument(
        { model: path, mode, batch, adapter: adapterName(gpu), memory, live },
        measured,
        roof,
      );
      const title = `${mode === 'training' ? 'Training step' : 'Inference'} of ${path}, batch ${batch}`;
      if (flags.trace) await writeFileAtomic(flags.trace, JSON.stringify(profileTrace(title, measured)));
      if (flags.html) await writeFileAtomic(flags.html, profilePage(document));
      await printResult(flags, document, describeProfile(document, { layers: flags.layers === true }));
    } finally {
      subject.dispose();
    }
  });
}

interface Subject {
  plan: Plan;
  memory: { planned: number; unshared: number };
  live: readonly number[];
  dispose(): void;
}

/** Checks everything that can be checked before a GPU is touched, and returns what compiles the rest. */
function prepareInference(model: OpenedModel, batch: number): (gpu: Gpu) => Promise<Subject> {
  namingFile(model.path, () => prepareGraph(model.graph, { batch }));
  return async (gpu) => {
    const compiled = await InferenceModel.compile(gpu, model.graph, { batch });
    for (const { name, shape } of compiled.inputs) compiled.write(name, generated(elementsOf(shape)));
    return compiled;
  };
}

async function prepareTraining(
  model: OpenedModel,
  flags: ProfileFlags,
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
    return trainer;
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
