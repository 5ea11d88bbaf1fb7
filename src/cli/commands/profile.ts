import { type Command, InvalidArgumentError } from 'commander';
import type { CompressedModel } from '../../format/decodeModel.ts';
import { writeFileAtomic } from '../../format/node.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import { InputError } from '../../graph/errors.ts';
import { choosePrecision } from '../../kernels/precision.ts';
import { packTensors } from '../../runtime/packModel.ts';
import { describePacking, packedBytes, type WeightMemory } from '../../runtime/packWeights.ts';
import { addPreprocessOptions, type DataFlags } from '../dataFlags.ts';
import {
  addBatchOption,
  addGpuOptions,
  addPrecisionOption,
  addWeightsOption,
  type BatchFlags,
  type PrecisionFlags,
  type WeightsFlags,
  wholeNumber,
} from '../flags.ts';
import { adapterName } from '../gpu.ts';
import { addModelOptions, type ModelFlags, openModel } from '../model.ts';
import { printResult } from '../output.ts';
import { adviseOn } from '../profile/advice.ts';
import { type PackedWeight, type ProfileDocument, profileDocument, subjectTitle } from '../profile/document.ts';
import { factsOf, factsOfPlan } from '../profile/kernelFacts.ts';
import { type Measured, type MeasureFlags, measure } from '../profile/measure.ts';
import { prepareInference, prepareTraining } from '../profile/modelSubject.ts';
import { profilePage } from '../profile/page.ts';
import { addShaderOptions, readShader, type ShaderFlags, shaderOptions } from '../profile/shaderFlags.ts';
import { runShader } from '../profile/shaderRun.ts';
import { describeProfile } from '../profile/text.ts';
import { profileTrace } from '../profile/trace.ts';

interface ProfileFlags
  extends Omit<DataFlags, 'data'>,
    MeasureFlags,
    BatchFlags,
    ModelFlags,
    WeightsFlags,
    PrecisionFlags,
    ShaderFlags {
  data?: string;
  train?: boolean;
  layers?: boolean;
  advice?: boolean;
  trace?: string;
  html?: string;
}

const BATCH = 32;

export function addProfileCommand(program: Command): void {
  const command = program
    .command('profile')
    .argument('[model]', 'an .onnx file or a compressed file')
    .option('--train', 'a training step instead of inference')
    .option('--data <path>', 'with --train: a batch of this data instead of generated samples')
    .option('--split <name>', 'train or test (default train where there is one)')
    .option('--repeat <n>', 'timed runs; the median counts', wholeNumber({ max: 10_000 }), 15)
    .option('--layers', 'one line per dispatch instead of one per kernel')
    .option('--advice', 'what the kernels’ texts and dispatches say about their speed (always with --shader)')
    .option('--robustness', 'run without bounds clamps too, to see what they cost')
    .option('--fresh-roof', 'measure the adapter’s peak rates again')
    .option('--trace <out.json>', 'write a Chrome trace, for Perfetto', fileName)
    .option('--html <out.html>', 'write a page with the time per layer, a roofline plot and memory', fileName);
  addGpuOptions(
    addPrecisionOption(
      addWeightsOption(addShaderOptions(addBatchOption(addModelOptions(addPreprocessOptions(command))))),
    ),
  )
    .summary('show where GPU time goes, per kernel, and how far from the adapter’s limit')
    .description(
      `Runs a model, or with --train a training step, and prints per kernel the GPU time, arithmetic rate, bandwidth and the fraction of the adapter’s measured roof. The batch is ${BATCH} unless --batch says otherwise. With --shader it does so for a WGSL file of your own, on generated inputs.`,
    )
    .addHelpText(
      'after',
      `
Examples:
  wgslim profile resnet20.onnx
  wgslim profile resnet20.onnx --train --batch 64 --trace trace.json --html profile.html
  wgslim profile small.wgslim --layers --json
  wgslim profile --shader saxpy.wgsl --size 1000000 --args a=2 --flops 2000000
  wgslim profile --shader blur.wgsl --size image=65536 --args width=256,height=256 --workgroups 16,16 --robustness`,
    )
    .action(profileSubject);
}

async function profileSubject(path: string | undefined, flags: ProfileFlags): Promise<void> {
  if (flags.shader !== undefined) {
    if (path !== undefined) throw new InputError(`--shader: is profiled in place of a model; leave out '${path}'.`);
    await profileShader(flags.shader, flags);
  } else if (path === undefined) {
    throw new InputError('<model>: no model is named; name one, or a WGSL file by --shader.');
  } else {
    await profileModel(path, flags);
  }
}

async function profileShader(path: string, flags: ProfileFlags): Promise<void> {
  const options = shaderOptions(flags);
  const prepared = async (gpu: Gpu) => {
    const file = await readShader(gpu, path, flags);
    const run = await runShader(gpu, file, options);
    return { ...run, file, memory: { planned: run.bytes, unshared: run.bytes }, live: [run.bytes] };
  };
  await measure(flags, prepared, async (subject, measured, gpu) => {
    const { file, workgroups, memory, live } = subject;
    const advice = adviseOn(await factsOf(file, workgroups), gpu.capabilities);
    const { entry, workgroupSize, workgroupBytes } = file;
    const shader = { entry, workgroups, workgroupSize, workgroupBytes };
    const head = { model: path, mode: 'shader' as const, batch: 1, adapter: adapterName(gpu), memory, live };
    await report(flags, profileDocument({ ...head, shader, advice }, measured), measured);
  });
}

function fileName(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must be the name of a file.');
  return text;
}

async function profileModel(path: string, flags: ProfileFlags): Promise<void> {
  if (flags.data !== undefined && !flags.train) {
    throw new InputError('--data: is for --train; inference is profiled on generated inputs.');
  }
  if (flags.precision !== 'f32' && flags.train) {
    throw new InputError('--precision: is for inference; a training step computes in f32.');
  }
  const model = await openModel(path, flags);
  const batch = flags.batch ?? BATCH;
  const prepared = flags.train ? await prepareTraining(model, flags, batch) : prepareInference(model, batch, flags);
  await measure(flags, prepared, async ({ plan, memory, live }, measured, gpu) => {
    const facts = flags.advice ? await factsOfPlan(plan.dispatches) : undefined;
    const advice = facts?.flatMap((kernel) => adviseOn(kernel, gpu.capabilities));
    const mode = flags.train ? ('training' as const) : ('inference' as const);
    const weights = !flags.train && model.compressed ? packedWeights(gpu, model.compressed, flags.weights) : undefined;
    const head = { model: path, mode, batch, adapter: adapterName(gpu), memory, live };
    const precision = flags.train ? undefined : choosePrecision(gpu.capabilities, flags.precision);
    const found = { ...(advice && { advice }), ...(weights && { weights }), ...(precision && { precision }) };
    await report(flags, profileDocument({ ...head, ...found }, measured), measured);
  });
}

/** How the layers' weights of a compressed file are run on this adapter. */
function packedWeights(gpu: Gpu, file: CompressedModel, memory: WeightMemory): PackedWeight[] {
  return [...packTensors(gpu.capabilities, file, memory)].map(([name, packed]) => ({
    name,
    form: describePacking(packed),
    reason: packed.choice.reason,
    bytes: packedBytes(packed),
  }));
}

async function report(flags: ProfileFlags, document: ProfileDocument, { profile }: Measured): Promise<void> {
  if (flags.trace) await writeFileAtomic(flags.trace, JSON.stringify(profileTrace(subjectTitle(document), profile)));
  if (flags.html) await writeFileAtomic(flags.html, profilePage(document));
  await printResult(flags, document, describeProfile(document, { layers: flags.layers === true }));
}
