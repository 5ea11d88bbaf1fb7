/**
 * MNIST's IDX files: big-endian magic 00 00 08 r (unsigned bytes, rank r), r lengths of 32 bits, then the bytes.
 * Source: LeCun, Cortes, Burges, "The MNIST database", file formats.
 */
import { InputError } from '../../../graph/errors.ts';
import type { Dataset } from '../dataset.ts';
import { memoryDataset } from '../dataset.ts';
import { readInput } from './files.ts';
import { gunzipByClaim, isGzip } from './gzip.ts';

export interface IdxPair {
  images: string;
  labels: string;
}

/** Finds `train-images-idx3-ubyte` and its kin (also `.idx3-ubyte`, also .gz) among the names of a folder. */
export function findIdx(names: readonly string[]): Partial<Record<'train' | 'test', IdxPair>> {
  const find = (prefix: string, what: string, rank: number) => {
    const base = [`${prefix}-${what}-idx${rank}-ubyte`, `${prefix}-${what}.idx${rank}-ubyte`];
    return [...base, ...base.map((name) => `${name}.gz`)].find((name) => names.includes(name));
  };
  const found: Partial<Record<'train' | 'test', IdxPair>> = {};
  for (const [split, prefix] of [['train', 'train'] as const, ['test', 't10k'] as const]) {
    const images = find(prefix, 'images', 3);
    const labels = find(prefix, 'labels', 1);
    if (images && labels) found[split] = { images, labels };
    else if (images || labels) {
      const [here, missing] = images
        ? [images, `${prefix}-labels-idx1-ubyte`]
        : [labels, `${prefix}-images-idx3-ubyte`];
      throw new InputError(`${here}: ${missing} is missing beside it.`);
    }
  }
  return found;
}

export async function readIdxDataset(imagesFile: string, labelsFile: string, split: string): Promise<Dataset> {
  const images = parseIdx(imagesFile, await readInput(imagesFile), 3);
  const labels = parseIdx(labelsFile, await readInput(labelsFile), 1);
  const [count, height, width] = images.shape as [number, number, number];
  if (labels.shape[0] !== count) {
    throw new InputError(`${labelsFile}: holds ${labels.shape[0]} labels, but ${imagesFile} holds ${count} images.`);
  }
  if (count === 0 || height === 0 || width === 0)
    throw new InputError(`${imagesFile}: holds no pixels (${images.shape}).`);
  return memoryDataset({
    name: imagesFile,
    split,
    sampleShape: [1, height, width],
    classes: labels.data.reduce((most, label) => Math.max(most, label), 0) + 1,
    samples: images.data,
    labels: labels.data,
  });
}

/** Checks a header against the rank that is wanted, and gives the lengths. */
function idxShape(file: string, header: Uint8Array, rank: number): number[] {
  if (header.length < 4 + 4 * rank) throw new InputError(`${file}: is too short to be an IDX file.`);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const magic = view.getUint32(0);
  if (magic !== 0x0800 + rank) {
    const found = `0x${magic.toString(16).padStart(8, '0')}`;
    throw new InputError(`${file}: the magic number is ${found}, not 0x0000080${rank} (unsigned bytes, rank ${rank}).`);
  }
  return Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
}

export function parseIdx(file: string, bytes: Uint8Array, rank: number): { shape: number[]; data: Uint8Array } {
  const headerBytes = 4 + 4 * rank;
  // Lengths of 32 bits may overflow a double's integers, but stay far above any file then.
  const claimed = (header: Uint8Array) =>
    idxShape(file, header, rank).reduce((product, length) => product * length, 1) + headerBytes;
  const content = isGzip(bytes) ? gunzipByClaim(file, bytes, headerBytes, claimed) : bytes;
  const shape = idxShape(file, content, rank);
  const expected = claimed(content);
  if (content.length !== expected) {
    const fault = content.length < expected ? 'is truncated' : 'goes on after its end';
    throw new InputError(
      `${file}: ${fault}: the header claims ${shape.join(' x ')} bytes of data, ${content.length - headerBytes} follow.`,
    );
  }
  return { shape, data: content.subarray(headerBytes) };
}
