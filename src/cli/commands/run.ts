import type { Command } from 'commander';
import { dump } from 'npyjs';
import { InferenceModel } from '../../engine/inference.ts';
import { prepareGraph } from '../../engine/prepare.ts';
import { writeFileAtomic } from '../../format/node.ts';
import { InputError } from '../../graph/errors.ts';
import { packedParameters } from '../../runtime/packModel.ts';
import { readInput } from '../../train/data/node/files.ts';
import { labelOffsetFor } from '../../train/data/preprocess.ts';
import { addPreprocessOptions, type PreprocessFlags, readPreprocessFlags } from '../dataFlags.ts';
import {
  addGpuOptions,
  addPrecisionOption,
  addWeightsOption,
  type GpuFlags,
  type PrecisionFlags,
  type WeightsFlags,
  wholeNumber,
} from '../flags.ts';
import { adapterName, withGpu } from '../gpu.ts';
import { addModelOptions, type ModelFlags, namingFile, openModel } from '../model.ts';
import { printResult } from '../output.ts';
import { type RunInput, readRunInput } from '../runInput.ts';
import { renderPairs, renderTable } from '../table.ts';
import { formatPercent, formatShape } from '../text.ts';

interface RunFlags extends PreprocessFlags, GpuFlags, ModelFlags, WeightsFlags, PrecisionFlags {
  input: string;
  output?: string;
  outputName?: string;
  labels?: string;
  top: number;
}

export function addRunCommand(program: Command): void {
  const command = program
    .command('run')
    .argument('<model>', 'an .onnx file or a compressed file')
    .requiredOption('--input <file>', 'an image (PNG, JPEG, WebP) or an array (.npy)')
    .option('-o, --output <file.npy>', 'write the output as an array')
    .option('--output-name <name>', 'which output, where the model has several (default: the first)')
    .option('--labels <file>', 'names of the classes, one a line')
    .option('--top <n>', 'classes to print', wholeNumber({ max: 1000 }), 5);
  addGpuOptions(addPrecisionOption(addWeightsOption(addModelOptions(addPreprocessOptions(command)))))
    .summary('run a model on one input')
    .description(
      'Runs a model on one input and prints the most probable classes, or writes the output as an .npy. Images and arrays of bytes are preprocessed as the options (or the compressed file) say; an array of floats is taken as the network’s input itself, unless preprocessing options are given.',
    )
    .addHelpText(
      'after',
      `
Examples:
  wgslim run small.wgslim --input cat.png
  wgslim run squeezenet.onnx --input tench.jpg --resize 256x256 --crop 227 --channels bgr --scale 1 --mean 104,117,123
  wgslim run model.onnx --input x.npy -o y.npy`,
    )
    .action(run);
}

async function run(path: string, flags: RunFlags): Promise<void> {
  const model = await openModel(path, flags);
  const { preprocess } = await readPreprocessFlags(flags, model.preprocess);
  const isAsked = ['preprocess', 'scale', 'mean', 'std', 'channels', 'resize', 'crop'].some(
    (name) => flags[name as keyof PreprocessFlags] !== undefined,
  );
  const names = flags.labels ? await readNames(flags.labels) : model.classNames;
  const input = await readRunInput(flags.input, model.graph, { preprocess, isAsked });
  const inputName = model.graph.inputs[0]!.name;
  const options = { batch: input.shape[0]!, inputShapes: { [inputName]: input.shape } };
  namingFile(path, () => prepareGraph(model.graph, options));
  const outputName = flags.outputName ?? model.graph.outputs[0]!.name;
  if (!model.graph.outputs.some(({ name }) => name === outputName)) {
    const known = model.graph.outputs.map(({ name }) => name).join(', ');
    throw new InputError(`--output-name: ${path} has no output ${outputName}; it has ${known}.`);
  }
  await withGpu(flags, async (gpu) => {
    const compiled = await InferenceModel.compile(gpu, model.graph, {
      ...options,
      precision: flags.precision,
      ...(model.compressed && { parameters: packedParameters(gpu, model.compressed, flags.weights) }),
    });
    const started = performance.now();
    const outputs = await compiled.run(new Map([[inputName, input.data]]));
    const seconds = (performance.now() - started) / 1000;
    const values = outputs.get(outputName)!;
    const { shape } = compiled.outputs.find(({ name }) => name === outputName)!;
    compiled.dispose();
    if (flags.output) await writeFileAtomic(flags.output, new Uint8Array(dump(values, [...shape])));
    const classes = values.length / input.shape[0]!;
    const offset = labelOffsetFor(preprocess, classes);
    // A list that leaves out the outputs before the first class is moved like the labels.
    const shift = names && names.length + offset <= classes ? offset : 0;
    const results = rank(values, classes, flags.top, (index) => names?.[index - shift]);
    const document = {
      model: path,
      input: flags.input,
      output: { name: outputName, shape, ...(flags.output && { file: flags.output }) },
      results,
      seconds,
      adapter: adapterName(gpu),
    };
    await printResult(flags, document, describe(flags, input, { name: outputName, shape }, results, seconds));
  });
}

async function readNames(file: string): Promise<string[]> {
  const lines = new TextDecoder().decode(await readInput(file, 2 ** 24)).split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  if (lines.length === 0) throw new InputError(`${file}: holds no names.`);
  return lines;
}

interface Ranked {
  class: number;
  name?: string;
  value: number;
  probability: number;
}

/** The largest outputs of each sample. Outputs that are no probabilities already go through a softmax. */
function rank(
  values: Float32Array,
  classes: number,
  top: number,
  nameOf: (index: number) => string | undefined,
): Ranked[][] {
  return Array.from({ length: values.length / classes }, (_, sample) => {
    const outputs = values.subarray(sample * classes, (sample + 1) * classes);
    const probabilities = asProbabilities(outputs);
    const order = Uint32Array.from(outputs, (_, i) => i).sort((a, b) => outputs[b]! - outputs[a]! || a - b);
    return Array.from(order.subarray(0, top), (index) => {
      const name = nameOf(index);
      return { class: index, ...(name && { name }), value: outputs[index]!, probability: probabilities[index]! };
    });
  });
}

function asProbabilities(outputs: Float32Array): Float64Array {
  const sum = outputs.reduce((total, value) => total + value, 0);
  if (Math.abs(sum - 1) < 1e-3 && outputs.every((value) => value >= 0)) return Float64Array.from(outputs);
  const largest = outputs.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(outputs, (value) => Math.exp(value - largest));
  const total = powers.reduce((all, value) => all + value, 0);
  return powers.map((value) => value / total);
}

function describe(
  flags: RunFlags,
  input: RunInput,
  output: { name: string; shape: readonly number[] },
  results: readonly Ranked[][],
  seconds: number,
): string {
  const shown = results.slice(0, 10).flatMap((ranked, sample) => [
    ...(results.length > 1 ? [`sample ${sample}`] : []),
    renderTable(
      [
        { title: 'class', align: 'right' },
        { title: 'name' },
        { title: 'probability', align: 'right' },
        { title: 'output', align: 'right' },
      ],
      ranked.map((entry) => [
        String(entry.class),
        entry.name ?? '',
        formatPercent(entry.probability),
        entry.value.toFixed(4),
      ]),
    ),
    '',
  ]);
  return [
    ...shown,
    renderPairs([
      ['input', `${flags.input}, ${formatShape(input.shape)}`],
      ['output', `${output.name}, ${formatShape(output.shape)}${flags.output ? `, written to ${flags.output}` : ''}`],
      ['time', `${(1000 * seconds).toFixed(1)} ms, with reading back and compiling shaders`],
    ]),
  ].join('\n');
}
