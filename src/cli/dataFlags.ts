/** The options that say which data a command reads and what happens to a pixel, the same for every command. */
import type { Command } from 'commander';
import { InputError } from '../graph/errors.ts';
import type { Dataset } from '../train/data/dataset.ts';
import { readInput } from '../train/data/node/files.ts';
import type { OpenOptions } from '../train/data/node/openDataset.ts';
import type { Preprocess } from '../train/data/preprocess.ts';
import { checkChannels, defaultPreprocess, parsePreprocess } from '../train/data/preprocess.ts';

/** As commander hands them over. */
export interface PreprocessFlags {
  preprocess?: string;
  scale?: string;
  mean?: string;
  std?: string;
  channels?: string;
  resize?: string;
  crop?: string;
  labelOffset?: string;
}
export interface DataFlags extends PreprocessFlags {
  data: string;
  split?: string;
  limit?: string;
}

/** What happens to a pixel: for `run`, and part of `addDataOptions`. */
export function addPreprocessOptions(command: Command): Command {
  return command
    .option('--preprocess <file.json>', 'a JSON file with the fields below; options given besides win')
    .option('--scale <number>', 'factor of a pixel 0..255 (default 1/255; 1 for data that are floats already)')
    .option('--mean <numbers>', 'subtracted after the scale: one number, or one per channel: 0.485,0.456,0.406')
    .option('--std <numbers>', 'divisor after that: one number, or one per channel')
    .option('--channels <order>', 'order of the colours that the model sees: rgb or bgr')
    .option('--resize <size>', 'N: shorter side, keeping the aspect ratio; WxH: exactly')
    .option('--crop <size>', 'side of a square out of the centre, after the resize')
    .option('--label-offset <number>', 'added to every label (default 1 for models with 1001 outputs, else 0)');
}

/** `--data` and what goes with it. */
export function addDataOptions(command: Command): Command {
  command
    .requiredOption('--data <path>', 'IDX files, CIFAR batches, a folder per class or with labels.tsv, or an .npz')
    .option('--split <name>', 'train or test (default test where there is one)')
    .option('--limit <number>', 'use the first so many samples only');
  return addPreprocessOptions(command);
}

export interface PreprocessChoice {
  preprocess: Preprocess;
  /** The same for this dataset: floats have the scale 1 where none was given. Refuses a wrong number of channels. */
  preprocessFor(dataset: Pick<Dataset, 'kind' | 'sampleShape' | 'name'>): Preprocess;
}

/**
 * Options win over the file of `--preprocess`, which wins over what a compressed model remembers.
 * @throws InputError naming the option, or the file and its field
 */
export async function readPreprocessFlags(flags: PreprocessFlags, remembered?: Preprocess): Promise<PreprocessChoice> {
  const given: Record<string, unknown> = { ...(flags.preprocess && (await readJson(flags.preprocess))) };
  if (flags.preprocess) parsePreprocess(given, { source: flags.preprocess });
  const options: Record<string, unknown> = {
    scale: flags.scale && number('--scale', flags.scale),
    mean: flags.mean && numbers('--mean', flags.mean),
    std: flags.std && numbers('--std', flags.std),
    channels: flags.channels,
    resize: flags.resize,
    crop: flags.crop && number('--crop', flags.crop),
    labelOffset: flags.labelOffset && number('--label-offset', flags.labelOffset),
  };
  const set = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const fields = { ...remembered, ...given, ...set };
  const preprocess = parsePreprocess(fields, { source: 'the preprocessing options' });
  return {
    preprocess,
    preprocessFor({ kind, sampleShape, name }) {
      const suited = 'scale' in fields ? preprocess : { ...preprocess, scale: defaultPreprocess(kind).scale };
      checkChannels(suited, sampleShape.length === 3 ? sampleShape[0]! : 1, name);
      return suited;
    },
  };
}

export interface DataChoice extends PreprocessChoice {
  path: string;
  /** For `openDataset`; add `channels` and `outputs` of the model. */
  openOptions: OpenOptions;
}

/** @throws InputError as `readPreprocessFlags` */
export async function readDataFlags(flags: DataFlags, remembered?: Preprocess): Promise<DataChoice> {
  const { split } = flags;
  if (split !== undefined && split !== 'train' && split !== 'test') {
    throw new InputError(`--split: "${split}" is neither train nor test.`);
  }
  const limit = flags.limit === undefined ? undefined : number('--limit', flags.limit);
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
    throw new InputError(`--limit: "${flags.limit}" is not a positive whole number.`);
  }
  const choice = await readPreprocessFlags(flags, remembered);
  const { preprocess } = choice;
  return {
    ...choice,
    path: flags.data,
    openOptions: { ...(split && { split }), ...(limit !== undefined && { limit }), preprocess },
  };
}

const MAX_JSON_BYTES = 2 ** 20;

async function readJson(file: string): Promise<object> {
  const text = new TextDecoder().decode(await readInput(file, MAX_JSON_BYTES));
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${file}: is not JSON (${error instanceof Error ? error.message : String(error)}).`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new InputError(`${file}: is not a JSON object.`);
  }
  return parsed;
}

/** A decimal number, or a fraction such as 1/255. */
function number(option: string, text: string): number {
  const [, numerator, denominator = '1'] = /^\s*([^/\s]+)(?:\/([^/\s]+))?\s*$/.exec(text) ?? [];
  const value = Number(numerator) / Number(denominator);
  if (!Number.isFinite(value)) throw new InputError(`${option}: "${text}" is not a number.`);
  return value;
}

function numbers(option: string, text: string): number[] {
  return text.split(',').map((part) => number(option, part));
}
