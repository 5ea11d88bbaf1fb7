import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { type CompressEvent, type CompressResult, compress } from '../../compress/compress.ts';
import { clearRunFiles, folderStorage, listRunFiles } from '../../compress/node.ts';
import { parseRecipe } from '../../compress/recipe.ts';
import { writeFileAtomic } from '../../format/node.ts';
import { InputError } from '../../graph/errors.ts';
import { readInput } from '../../train/data/node/files.ts';
import { addPreprocessOptions, type PreprocessFlags, readDataFlags } from '../dataFlags.ts';
import { addGpuOptions, type GpuFlags, numberBetween, wholeNumber } from '../flags.ts';
import { adapterName, withGpu } from '../gpu.ts';
import { untilInterrupted } from '../interrupt.ts';
import { addModelOptions, checkClassifier, type ModelFlags, openModel } from '../model.ts';
import { printResult } from '../output.ts';
import { createProgress, type Progress } from '../progress.ts';
import { compressionReport } from '../report.ts';
import { openCompressionData } from '../trainingData.ts';
import { inspectLayers } from './inspect.ts';

interface CompressFlags extends PreprocessFlags, GpuFlags, ModelFlags {
  data: string;
  recipe: string;
  output: string;
  run?: string;
  resume?: boolean;
  fresh?: boolean;
  evalLimit?: number;
  checkpointEvery?: number;
}

export function addCompressCommand(program: Command): void {
  const command = program
    .command('compress')
    .argument('<model>', 'an .onnx file (or a compressed one, to go on from it)')
    .requiredOption('--data <path>', 'IDX files, CIFAR batches, a folder per class or with labels.tsv, or an .npz')
    .requiredOption('--recipe <file.json>', 'the stages: see docs/recipes.md')
    .requiredOption('-o, --output <file>', 'the compressed file')
    .option('--run <folder>', 'where the log, checkpoints and the file of every stage go (default: OUTPUT.run)')
    .option('--resume', 'go on where an earlier run in that folder stopped')
    .option('--fresh', 'remove the files of an earlier run in that folder and begin anew')
    .option('--eval-limit <n>', 'measure accuracy on the first so many test images only', wholeNumber())
    .option('--checkpoint-every <seconds>', 'how much work a kill may cost (default: 20)', numberBetween(0, 86400));
  addGpuOptions(addModelOptions(addPreprocessOptions(command)))
    .summary('prune, fine-tune, quantize and distil by a recipe')
    .description(
      'Runs the stages of a recipe over a network and writes one small file. Training uses the training split of the data (or what a stage names), accuracy is measured on the test split; data without splits are divided by seed. A run that was stopped or killed continues with --resume to the same file.',
    )
    .addHelpText(
      'after',
      `
Examples:
  wgslim compress resnet20.onnx --data cifar10/ --recipe examples/resnet20/recipe.json -o small.wgslim
  wgslim compress resnet20.onnx --data cifar10/ --recipe examples/resnet20/recipe.json -o small.wgslim --resume`,
    )
    .action(compressModel);
}

async function compressModel(path: string, flags: CompressFlags): Promise<void> {
  const recipe = parseRecipe(new TextDecoder().decode(await readInput(flags.recipe, 2 ** 24)), flags.recipe);
  const runFolder = flags.run ?? `${flags.output}.run`;
  await checkOutput(flags.output);
  await prepareRunFolder(runFolder, flags);
  const model = await openModel(path, flags);
  const classifier = checkClassifier(model);
  const choice = await readDataFlags(flags, model.preprocess);
  const data = await openCompressionData(choice, classifier, {
    recipe,
    recipePath: flags.recipe,
    ...(flags.evalLimit && { evalLimit: flags.evalLimit }),
  });
  const progress = createProgress(flags);
  if (data.isHeldOut && !flags.quiet) {
    process.stderr.write(
      `${flags.data} has no test set: a fifth of it, chosen by seed, is kept for measuring accuracy.\n`,
    );
  }
  if (flags.fresh) await clearRunFiles(runFolder);
  const storage = folderStorage(runFolder);
  const parameters = inspectLayers(model).reduce((sum, layer) => sum + layer.parameters, 0);
  await withGpu(flags, async (gpu) => {
    const result = await untilInterrupted(
      (signal) =>
        compress(gpu, {
          graph: model.graph,
          recipe,
          openData: data.openStage,
          evaluation: data.evaluation,
          preprocess: data.preprocess,
          storage,
          resume: flags.resume ?? false,
          ...(flags.checkpointEvery && { checkpointSeconds: flags.checkpointEvery }),
          originalBytes: model.compressed?.meta.originalBytes ?? 4 * parameters,
          onProgress: (event) => showEvent(progress, event),
          signal,
        }).finally(() => progress.stop()),
      `Stopped; the same command with --resume goes on from ${runFolder}.`,
    );
    await writeFileAtomic(flags.output, result.file);
    const adapter = adapterName(gpu);
    await printResult(
      flags,
      { ...documentOf(flags.output, result), adapter },
      compressionReport(flags.output, result, adapter.name),
    );
  });
}

function documentOf(out: string, { file: _, ...result }: CompressResult) {
  return { out, ...result };
}

/** Found out now, not after an hour of training. */
async function checkOutput(path: string): Promise<void> {
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (!folder?.isDirectory()) throw new InputError(`--output: the folder ${dirname(path)} does not exist.`);
  const existing = await stat(path).catch(() => undefined);
  if (existing && !existing.isFile()) throw new InputError(`--output: ${path} exists and is not a file.`);
}

async function prepareRunFolder(folder: string, { resume, fresh }: CompressFlags): Promise<void> {
  if (resume && fresh) throw new InputError('--resume and --fresh exclude each other.');
  const existing = await listRunFiles(folder);
  if (existing.length > 0 && !resume && !fresh) {
    throw new InputError(`--run: ${folder} holds an earlier run: go on with --resume, or begin anew with --fresh.`);
  }
}

function showEvent(progress: Progress, { stage, index, stages, phase, step, steps, ...measured }: CompressEvent): void {
  const verb = { calibrate: 'calibrate', train: 'train', evaluate: 'evaluate' }[phase];
  const place = index < 0 ? stage : `${index + 1}/${stages} ${stage}`;
  progress.update({ label: `${place}: ${verb}`, done: step, total: steps, ...measured });
}
