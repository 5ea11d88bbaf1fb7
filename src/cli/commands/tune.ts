import type { Command } from 'commander';
import type { Gpu } from '../../gpu/gpu.ts';
import { InputError } from '../../graph/errors.ts';
import { choosePrecision } from '../../kernels/precision.ts';
import type { TuneResult } from '../../kernels/tune/measure.ts';
import { mergeInto } from '../../kernels/tune/store.ts';
import { ChoiceListener, tableOf, tune } from '../../kernels/tune/tune.ts';
import { product } from '../../kernels/tune/variants.ts';
import { fileTuning, nodeAdapterKey, tunedFile } from '../../kernels/tunedCache.node.ts';
import {
  addBatchOption,
  addGpuOptions,
  addPrecisionOption,
  type BatchFlags,
  type GpuFlags,
  numberBetween,
  type PrecisionFlags,
} from '../flags.ts';
import { type AdapterName, adapterName, withGpu } from '../gpu.ts';
import { untilInterrupted } from '../interrupt.ts';
import { addModelOptions, type ModelFlags, openModel } from '../model.ts';
import { printResult } from '../output.ts';
import { prepareInference, prepareTraining } from '../profile/modelSubject.ts';
import { createProgress } from '../progress.ts';
import { renderTable } from '../table.ts';
import { formatPercent } from '../text.ts';

interface TuneFlags extends GpuFlags, BatchFlags, ModelFlags, PrecisionFlags {
  train?: boolean;
  seconds: number;
  dryRun?: boolean;
}

/** What `wgslim tune --json` prints. */
export interface TuneDocument {
  adapter: AdapterName;
  /** Where the choices are kept; absent with --dry-run. */
  file?: string;
  choices: TunedChoice[];
  /** With one variant, or that cannot be measured alone. */
  skipped: string[];
  /** For which no time was left. */
  left: string[];
}

export interface TunedChoice {
  key: string;
  /** What the rule takes, and what is taken now. */
  rule: string;
  best: string | null;
  /** Median µs; null where the variant was not measured to the end. */
  ruleMicroseconds: number | null;
  bestMicroseconds: number | null;
  /** Too slow after the first runs. */
  stopped: string[];
  excluded: { id: string; why: string }[];
}

const BATCH = 32;

export function addTuneCommand(program: Command): void {
  const command = program
    .command('tune')
    .argument('[model]', 'an .onnx file or a compressed file; without one, common sizes of products')
    .option('--train', 'the choices of a training step too')
    .option('--seconds <n>', 'ends after about so long', numberBetween(0, 86_400), 60)
    .option('--dry-run', 'measure, and keep nothing');
  addGpuOptions(addPrecisionOption(addBatchOption(addModelOptions(command))))
    .summary('measure which kernel variants are fastest on this adapter, and use them from then on')
    .description(
      `Runs the variants of the kernels that a model uses, at its sizes, and keeps the fastest in the user’s cache folder, per adapter and driver. Only variants whose results are right take part. The batch is ${BATCH} unless --batch says otherwise.`,
    )
    .addHelpText('after', '\nExamples:\n  wgslim tune\n  wgslim tune resnet20.onnx --train --batch 64 --seconds 120')
    .action(tuneChoices);
}

async function tuneChoices(path: string | undefined, flags: TuneFlags): Promise<void> {
  if (path === undefined && flags.train) throw new InputError('--train: needs a model to train.');
  const listen =
    path === undefined
      ? async (gpu: Gpu) => commonProducts(choosePrecision(gpu.capabilities, flags.precision).precision === 'f16')
      : await listener(path, flags);
  const message = 'stopped; what was measured before is kept.';
  await untilInterrupted(
    (signal) =>
      withGpu(flags, async (gpu) => {
        const asked = await listen(gpu);
        gpu.useTuned(undefined);
        const progress = createProgress(flags);
        const { seconds } = flags;
        const report = await tune(gpu, asked, {
          seconds,
          signal,
          onProgress: ({ done, total }) => progress.update({ label: 'tune', done, total }),
        }).finally(() => progress.stop());
        const adapter = nodeAdapterKey(gpu.capabilities);
        const table = tableOf(report.results);
        if (!flags.dryRun && table.size > 0) await mergeInto(fileTuning, adapter, table);
        const document: TuneDocument = {
          adapter: adapterName(gpu),
          ...(!flags.dryRun && { file: tunedFile(adapter) }),
          choices: report.results.map(choiceOf),
          skipped: report.skipped,
          left: report.left,
        };
        await printResult(flags, document, describe(document));
        signal.throwIfAborted();
      }),
    message,
  );
}

/** Records the model's plans with a table that listens. */
async function listener(path: string, flags: TuneFlags): Promise<(gpu: Gpu) => Promise<ReadonlyMap<string, number>>> {
  const batch = flags.batch ?? BATCH;
  const model = await openModel(path, flags);
  const prepared = [prepareInference(model, batch, { precision: flags.precision })];
  if (flags.train) prepared.push(await prepareTraining(model, {}, batch));
  return async (gpu) => {
    const choices = new ChoiceListener();
    gpu.useTuned(choices);
    for (const prepare of prepared) (await prepare(gpu)).dispose();
    return choices.asked;
  };
}

function commonProducts(half: boolean): Map<string, number> {
  const sizes = [
    [256, 256, 256],
    [512, 512, 512],
    [1024, 1024, 1024],
    [1, 1024, 1024],
    [32, 1024, 1024],
    [128, 10, 784],
    [64, 128, 784],
  ];
  return new Map(sizes.map(([m, n, k]) => [product.key({ m: m!, n: n!, k: k!, half }), 1]));
}

function choiceOf({ key, rule, best, microseconds, stopped, excluded }: TuneResult): TunedChoice {
  return {
    key,
    rule,
    best: best ?? null,
    ruleMicroseconds: microseconds.get(rule) ?? null,
    bestMicroseconds: (best !== undefined && microseconds.get(best)) || null,
    stopped,
    excluded,
  };
}

function describe({ adapter, file, choices, skipped, left }: TuneDocument): string {
  const right = 'right' as const;
  const columns = [
    { title: 'kernel and shape' },
    { title: 'rule' },
    { title: 'time', align: right },
    { title: 'best' },
    { title: 'time', align: right },
    { title: 'gain', align: right },
  ];
  const rows = choices.map(({ key, rule, best, ruleMicroseconds, bestMicroseconds }) => [
    key,
    rule,
    time(ruleMicroseconds),
    best === rule ? '' : (best ?? '-'),
    best === rule ? '' : time(bestMicroseconds),
    best === rule || !ruleMicroseconds || !bestMicroseconds
      ? ''
      : formatPercent(1 - bestMicroseconds / ruleMicroseconds, 1),
  ]);
  const changed = choices.filter(({ best, rule }) => best !== null && best !== rule).length;
  const wrong = choices.flatMap(({ key, excluded }) => excluded.map(({ id, why }) => `- ${key}, ${id}: ${why}`));
  return [
    ...(rows.length > 0 ? [renderTable(columns, rows), ''] : []),
    `${choices.length} choices measured, ${changed} of them other than the rule’s; ${skipped.length} have one variant or cannot be measured alone${
      left.length > 0 ? `; no time was left for ${left.length} (--seconds)` : ''
    }.`,
    ...(wrong.length > 0 ? ['Variants that gave wrong results or did not run, and are not used:', ...wrong] : []),
    file ? `Kept in ${file} for ${adapter.name}.` : `Not kept (--dry-run); measured on ${adapter.name}.`,
  ].join('\n');
}

function time(microseconds: number | null): string {
  if (microseconds === null) return '-';
  return microseconds < 1000 ? `${microseconds.toFixed(0)} µs` : `${(microseconds / 1000).toFixed(2)} ms`;
}
