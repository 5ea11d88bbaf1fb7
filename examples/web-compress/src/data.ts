/** IDX files that a visitor chose: which is which, and the sets that they make. */
import { InputError } from '../../../src/graph/errors.ts';
import type { Dataset } from '../../../src/train/data/dataset.ts';
import { idxDataset, parseIdx } from '../../../src/train/data/idx.ts';
import { holdOut } from '../../../src/train/data/split.ts';
import type { NamedBytes } from './messages.ts';

/** One of this many samples measures where there is no test set. */
const HOLD_OUT = 5;
const TEST = /t10k|test|val/i;

export async function openIdx(files: readonly NamedBytes[], seed: number): Promise<{ train: Dataset; test: Dataset }> {
  const unpacked = await Promise.all(files.map(async ({ name, bytes }) => ({ name, bytes: await gunzip(bytes) })));
  const set = (isTest: boolean) => {
    const ofSplit = unpacked.filter(({ name }) => TEST.test(name) === isTest);
    const [images, labels] = [3, 1].map((rank) => ofSplit.find(({ bytes }) => bytes[2] === 8 && bytes[3] === rank));
    if (!images && !labels) return undefined;
    if (!images || !labels) {
      const [here, missing] = images ? [images, 'labels'] : [labels, 'images'];
      throw new InputError(`${here?.name}: the file of its ${missing} is missing: choose both.`);
    }
    const parsed = (file: NamedBytes, rank: number) => ({ ...parseIdx(file.name, file.bytes, rank), file: file.name });
    return idxDataset(parsed(images, 3), parsed(labels, 1), isTest ? 'test' : 'train');
  };
  const [train, test] = [set(false), set(true)];
  if (!train && !test) throw new InputError('None of the files is an IDX file of images or labels.');
  if (train && test) return { train, test };
  const only = (train ?? test) as Dataset;
  const parts = holdOut(only, Math.ceil(only.size / HOLD_OUT), seed);
  return { train: { ...parts.train, split: 'train' }, test: { ...parts.validation, split: 'test' } };
}

async function gunzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
