/**
 * CIFAR's binary batches: records of 1 label byte (CIFAR-100: coarse, then fine), then 32x32 bytes each of R, G, B.
 * Source: Krizhevsky, "The CIFAR-10 dataset", binary version.
 */
import { basename, dirname, join } from 'node:path';
import { InputError } from '../../../graph/errors.ts';
import type { Dataset } from '../dataset.ts';
import { memoryDataset } from '../dataset.ts';
import { readInput } from './files.ts';

const SHAPE = [3, 32, 32] as const;
const PIXEL_BYTES = 3 * 32 * 32;
const CIFAR10_NAMES = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');

interface Variant {
  labelBytes: number;
  classes: number;
  /** Text file with one class a line, beside the batches. */
  namesFile: string;
  names?: readonly string[];
}
const CIFAR10: Variant = { labelBytes: 1, classes: 10, namesFile: 'batches.meta.txt', names: CIFAR10_NAMES };
const CIFAR100: Variant = { labelBytes: 2, classes: 100, namesFile: 'fine_label_names.txt' };

/** Finds the batches among the names of a folder. */
export function findCifar(names: readonly string[]): Partial<Record<'train' | 'test', string[]>> {
  const matching = (pattern: RegExp) => names.filter((name) => pattern.test(name)).sort();
  const train = matching(/^data_batch_\d+\.bin$/);
  const test = matching(/^test_batch\.bin$/);
  if (train.length + test.length > 0) return { ...(train.length && { train }), ...(test.length && { test }) };
  // CIFAR-100 has such common names that both files must be there.
  if (names.includes('train.bin') && names.includes('test.bin')) return { train: ['train.bin'], test: ['test.bin'] };
  return {};
}

/** One dataset out of the batches, in their order. */
export async function readCifarDataset(files: readonly string[], split: string): Promise<Dataset> {
  const variant = /^(train|test)\.bin$/.test(basename(files[0]!)) ? CIFAR100 : CIFAR10;
  const recordBytes = variant.labelBytes + PIXEL_BYTES;
  const batches: Uint8Array[] = [];
  for (const file of files) {
    const bytes = await readInput(file);
    if (bytes.length === 0 || bytes.length % recordBytes !== 0) {
      throw new InputError(
        `${file}: has ${bytes.length} bytes, not a positive multiple of ${recordBytes} (one CIFAR-${variant.classes} record).`,
      );
    }
    batches.push(bytes);
  }
  const count = batches.reduce((sum, bytes) => sum + bytes.length / recordBytes, 0);
  const samples = new Uint8Array(count * PIXEL_BYTES);
  const labels = new Uint8Array(count);
  let sample = 0;
  for (const [batch, bytes] of batches.entries()) {
    for (let start = 0; start < bytes.length; start += recordBytes, sample++) {
      const label = bytes[start + variant.labelBytes - 1]!;
      if (label >= variant.classes) {
        const record = start / recordBytes;
        throw new InputError(
          `${files[batch]}: the label of record ${record} is ${label}, above the last class ${variant.classes - 1}.`,
        );
      }
      labels[sample] = label;
      samples.set(bytes.subarray(start + variant.labelBytes, start + recordBytes), sample * PIXEL_BYTES);
    }
  }
  const classNames = await readNames(dirname(files[0]!), variant);
  return memoryDataset({
    name: dirname(files[0]!),
    split,
    sampleShape: SHAPE,
    classes: variant.classes,
    ...(classNames && { classNames }),
    samples,
    labels,
  });
}

/** Class names are a courtesy: a missing or odd file is no reason to refuse the data. */
async function readNames(folder: string, variant: Variant): Promise<readonly string[] | undefined> {
  const bytes = await readInput(join(folder, variant.namesFile), 65536).catch(() => undefined);
  const lines = bytes ? new TextDecoder().decode(bytes).split(/\r?\n/).filter(Boolean) : [];
  return lines.length === variant.classes ? lines : variant.names;
}
