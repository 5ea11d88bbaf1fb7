import type { Command } from 'commander';
import { choosePrecision } from '../../kernels/precision.ts';
import { packedParameters } from '../../runtime/packModel.ts';
import { evaluate } from '../../train/evaluate.ts';
import { openData } from '../data.ts';
import { addDataOptions, type DataFlags, readDataFlags } from '../dataFlags.ts';
import {
  addBatchOption,
  addGpuOptions,
  addPrecisionOption,
  addWeightsOption,
  type BatchFlags,
  type GpuFlags,
  type PrecisionFlags,
  type WeightsFlags,
} from '../flags.ts';
import { adapterName, withGpu } from '../gpu.ts';
import { addModelOptions, checkClassifier, type ModelFlags, openModel } from '../model.ts';
import { printResult } from '../output.ts';
import { createProgress } from '../progress.ts';
import { renderPairs } from '../table.ts';
import { formatCount, formatPercent, formatPrecision, formatSeconds } from '../text.ts';

export function addEvalCommand(program: Command): void {
  addGpuOptions(
    addBatchOption(
      addPrecisionOption(
        addWeightsOption(
          addModelOptions(
            addDataOptions(program.command('eval').argument('<model>', 'an .onnx file or a compressed file')),
          ),
        ),
      ),
    ),
  )
    .summary('measure accuracy, loss and images per second')
    .description('Measures top-1 and top-5 accuracy, mean cross-entropy loss and speed of a classifier on a data set.')
    .addHelpText(
      'after',
      `
Examples:
  wgslim eval resnet20.onnx --data cifar10/ --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  wgslim eval small.wgslim --data cifar10/ --limit 1000 --json`,
    )
    .action(evalModel);
}

async function evalModel(
  path: string,
  flags: DataFlags & GpuFlags & BatchFlags & ModelFlags & WeightsFlags & PrecisionFlags,
): Promise<void> {
  const model = await openModel(path, flags);
  const classifier = checkClassifier(model);
  const choice = await readDataFlags(flags, model.preprocess);
  const { dataset, preprocess } = await openData(choice, classifier);
  await withGpu(flags, async (gpu) => {
    const progress = createProgress(flags);
    const evaluation = await evaluate(gpu, model.graph, dataset, {
      preprocess,
      precision: flags.precision,
      ...(model.compressed && { parameters: packedParameters(gpu, model.compressed, flags.weights) }),
      ...(flags.batch && { batch: flags.batch }),
      onProgress: (done, total) => progress.update({ label: 'evaluate', done, total }),
    }).finally(() => progress.stop());
    const { images, top1, top5, loss, seconds, imagesPerSecond } = evaluation;
    const adapter = adapterName(gpu);
    const precision = choosePrecision(gpu.capabilities, flags.precision);
    const document = { model: path, images, top1, top5, loss, seconds, imagesPerSecond, adapter, precision };
    const text = renderPairs([
      ['model', path],
      ['data', `${dataset.name} (${dataset.split}), ${formatCount(images)} images`],
      ['top-1', formatPercent(top1)],
      ['top-5', formatPercent(top5)],
      ['loss', loss.toFixed(4)],
      ['speed', `${formatCount(imagesPerSecond)} images per second (${formatSeconds(seconds)})`],
      ['precision', formatPrecision(precision)],
      ['adapter', adapter.name],
    ]);
    await printResult(flags, document, text);
  });
}
