/** IDX files from a folder, packed with gzip or not. */
import { InputError } from '../../../graph/errors.ts';
import type { Dataset } from '../dataset.ts';
import { idxClaim, idxDataset, idxHeaderBytes, parseIdx } from '../idx.ts';
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
  const read = async (file: string, rank: number) => ({
    ...parseIdx(file, unpack(file, await readInput(file), rank), rank),
    file,
  });
  return idxDataset(await read(imagesFile, 3), await read(labelsFile, 1), split);
}

function unpack(file: string, bytes: Uint8Array, rank: number): Uint8Array {
  if (!isGzip(bytes)) return bytes;
  return gunzipByClaim(file, bytes, idxHeaderBytes(rank), (header) => idxClaim(file, header, rank));
}
