/** The options that every command has, and how numbers on the command line are read. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Precision } from '../gpu/capabilities.ts';
import { EXPERIMENTAL, type Experimental } from '../gpu/experimental.ts';
import type { WeightMemory } from '../runtime/packWeights.ts';

export type AdapterChoice = 'auto' | 'system' | 'swiftshader';

export interface CommonFlags {
  json?: boolean;
  quiet?: boolean;
}
export interface GpuFlags extends CommonFlags {
  adapter: AdapterChoice;
  experimental?: Experimental[];
}
export interface WeightsFlags {
  weights: WeightMemory;
}
export interface PrecisionFlags {
  precision: Precision;
}
export interface BatchFlags {
  batch?: number;
}

export function addCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print one JSON document on stdout and nothing else')
    .option('-q, --quiet', 'show no progress');
}

export function addGpuOptions(command: Command): Command {
  const adapter = new Option(
    '--adapter <which>',
    'system: the GPU or Vulkan driver of this machine; swiftshader: the embedded one',
  )
    .env('WGSLIM_ADAPTER')
    .argParser(readAdapter)
    .default('auto', 'auto: the first, or else the second');
  const experimental = new Option(
    '--experimental <features>',
    'subgroup-matrix: products by subgroup matrices, which WebGPU has not settled, where the adapter has them',
  )
    .env('WGSLIM_EXPERIMENTAL')
    .argParser(readExperimental);
  return addCommonOptions(command.addOption(adapter).addOption(experimental));
}

export function addBatchOption(command: Command): Command {
  return command.option('--batch <n>', 'samples that go through the network at a time', wholeNumber({ max: 65536 }));
}

export function addWeightsOption(command: Command): Command {
  const weights = new Option(
    '--weights <memory>',
    'of a compressed file, on the GPU: small, about as in the file, unpacked in every run; fast, as the kernels read them',
  );
  return command.addOption(weights.choices(['small', 'fast']).default('small'));
}

export function addPrecisionOption(command: Command): Command {
  const precision = new Option(
    '--precision <type>',
    'of products: f32, or f16 where the adapter is a GPU that has it (sums stay f32; values beyond 65504 become infinite)',
  );
  return command.addOption(precision.choices(['f32', 'f16']).default('f32'));
}

function readAdapter(text: string): AdapterChoice {
  if (text === '') return 'auto';
  if (text === 'auto' || text === 'system' || text === 'swiftshader') return text;
  throw new InvalidArgumentError('It may be auto, system or swiftshader.');
}

function readExperimental(text: string): Experimental[] {
  const names = text.split(',').filter((name) => name !== '') as Experimental[];
  if (names.every((name) => EXPERIMENTAL.includes(name))) return names;
  throw new InvalidArgumentError(`It may be ${EXPERIMENTAL.join(', ')}.`);
}

/** Reads a whole number from `min` (1) to `max` for commander, which names the option in its message. */
export function wholeNumber({ min = 1, max = Number.MAX_SAFE_INTEGER } = {}): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

/** A number strictly between `min` and `max`. */
export function numberBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value > min && value < max) return value;
    throw new InvalidArgumentError(`It must be a number between ${min} and ${max}.`);
  };
}

/** Reads 1x3x224x224. */
export function shapeArgument(text: string): number[] {
  const shape = text.split(/[x×,]/).map((part) => (/^\d{1,9}$/.test(part.trim()) ? Number(part) : 0));
  if (shape.length > 0 && shape.length <= 8 && shape.every((length) => length > 0)) return shape;
  throw new InvalidArgumentError('It must be lengths joined by x, such as 1x3x224x224.');
}
