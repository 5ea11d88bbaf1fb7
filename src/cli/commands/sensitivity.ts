import { type Command, Option } from 'commander';
import { measureSensitivity, type SensitivityReport } from '../../compress/sensitivity.ts';
import { takeFirst } from '../../train/data/split.ts';
import { openData, openTrainingData } from '../data.ts';
import { addDataOptions, type DataFlags, readDataFlags } from '../dataFlags.ts';
import { addBatchOption, addGpuOptions, type BatchFlags, type GpuFlags, numberBetween, wholeNumber } from '../flags.ts';
import { adapterName, withGpu } from '../gpu.ts';
import { addModelOptions, checkClassifier, type ModelFlags, openModel } from '../model.ts';
import { printResult } from '../output.ts';
import { createProgress } from '../progress.ts';
import { renderPairs, renderTable } from '../table.ts';
import { formatCount, formatPercent, formatPoints, formatShape } from '../text.ts';

const KINDS = ['taylor', 'gradient', 'magnitude'] as const;

interface SensitivityFlags extends DataFlags, GpuFlags, BatchFlags, ModelFlags {
  samples: number;
  kind: (typeof KINDS)[number];
  probe: boolean;
  probeSamples: number;
  sparsity: number;
  bits: number[];
}

export function addSensitivityCommand(program: Command): void {
  const command = addDataOptions(
    program.command('sensitivity').argument('<model>', 'an .onnx file or a compressed file'),
  )
    .option('--samples <n>', 'training samples that importance is averaged over', wholeNumber(), 1024)
    .addOption(new Option('--kind <kind>', 'importance: |w·g|, |g| or |w|').choices(KINDS).default('taylor'))
    .option('--no-probe', 'leave out what pruning or quantizing each layer alone costs')
    .option('--probe-samples <n>', 'images that this cost is measured on', wholeNumber(), 500)
    .option('--sparsity <fraction>', 'how much of a layer is pruned to probe it', numberBetween(0, 1), 0.5)
    .option('--bits <list>', 'widths that a layer is quantized to', bitsList, [4, 2]);
  addGpuOptions(addBatchOption(addModelOptions(command)))
    .summary('measure what each layer and channel matters')
    .description(
      'Measures the importance of every layer and every output channel from gradients on training data, then what it costs in loss and accuracy to prune or to quantize each layer alone (measured on the test images where there are some).',
    )
    .addHelpText(
      'after',
      `
Examples:
  wgslim sensitivity resnet20.onnx --data cifar10/ --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  wgslim sensitivity lenet5.onnx --data mnist/ --samples 4096 --no-probe --json`,
    )
    .action(sensitivity);
}

function bitsList(text: string): number[] {
  return text.split(',').map(wholeNumber({ min: 2, max: 8 }));
}

async function sensitivity(path: string, flags: SensitivityFlags): Promise<void> {
  const model = await openModel(path, flags);
  const classifier = checkClassifier(model);
  const choice = await readDataFlags(flags, model.preprocess);
  const { dataset: calibration, preprocess } = await openTrainingData(choice, classifier);
  const probed = flags.probe ? (await openData(choice, classifier)).dataset : undefined;
  await withGpu(flags, async (gpu) => {
    const progress = createProgress(flags);
    const report = await measureSensitivity(gpu, model.graph, {
      calibration,
      preprocess,
      kind: flags.kind,
      samples: flags.samples,
      ...(flags.batch && { batch: flags.batch }),
      ...(probed && {
        probe: { dataset: takeFirst(probed, flags.probeSamples), sparsity: flags.sparsity, bits: flags.bits },
      }),
      onProgress: (done, total) => progress.update({ label: 'sensitivity', done, total }),
    }).finally(() => progress.stop());
    const document = { model: path, ...report, adapter: adapterName(gpu) };
    await printResult(flags, document, describe(path, report));
  });
}

function describe(path: string, { kind, samples, baseline, layers }: SensitivityReport): string {
  const right = 'right' as const;
  const probes = layers[0]?.probes ?? [];
  const titles = probes.map((probe) =>
    probe.kind === 'prune' ? `${formatPercent(probe.setting, 0)} pruned` : `${probe.setting} bits`,
  );
  const columns = [
    { title: 'layer' },
    { title: 'weight' },
    { title: 'elements', align: right },
    { title: 'mean', align: right },
    { title: 'share', align: right },
    { title: 'weakest channel', align: right },
    ...titles.map((title) => ({ title: `${title}: loss, points`, align: right })),
  ];
  const whole = layers.reduce((sum, layer) => sum + layer.sum, 0);
  const rows = layers.map((layer) => [
    layer.name,
    formatShape(layer.shape),
    formatCount(layer.elements),
    layer.mean.toExponential(2),
    formatPercent(whole > 0 ? layer.sum / whole : 0, 1),
    weakest(layer.channels, layer.sum),
    ...(layer.probes ?? []).map(
      ({ lossIncrease, top1 }) =>
        `${lossIncrease < 0 ? '' : '+'}${lossIncrease.toFixed(3)}, ${formatPoints(top1 - baseline.top1)}`,
    ),
  ]);
  const meaning = { taylor: '|weight · gradient|', gradient: '|gradient|', fisher: 'gradient²', magnitude: '|weight|' }[
    kind
  ];
  return [
    renderTable(columns, rows),
    '',
    renderPairs([
      ['model', path],
      ['importance', kind === 'magnitude' ? meaning : `${meaning}, mean over ${formatCount(samples)} samples`],
      ['untouched', `loss ${baseline.loss.toFixed(4)}, top-1 ${formatPercent(baseline.top1)}`],
    ]),
  ].join('\n');
}

/** The output channel with the smallest sum, and how far below an average channel it is. */
function weakest(channels: readonly number[], sum: number): string {
  let index = 0;
  for (const [channel, value] of channels.entries()) if (value < (channels[index] as number)) index = channel;
  const average = sum / channels.length;
  return average > 0 ? `${index} (${formatPercent((channels[index] as number) / average, 0)} of average)` : '';
}
