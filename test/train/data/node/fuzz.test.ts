/** Damaged data files: each opens and reads, or is refused with InputError; nothing else, and soon. */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { InputError } from '../../../../src/graph/errors.ts';
import { allocateSamples } from '../../../../src/train/data/dataset.ts';
import { openDataset } from '../../../../src/train/data/node/openDataset.ts';
import { random } from '../../../support/numbers.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgslim-fuzz-'));
});
afterAll(() => rm(folder, { recursive: true }));

const pixels = Uint8Array.from({ length: 24 * 24 * 3 }, (_, i) => (i * i * 31 + i) >> 3);
const picture = () => sharp(pixels, { raw: { width: 24, height: 24, channels: 3 } });
const idxImages = Uint8Array.from([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, ...pixels.subarray(0, 60)]);
const idxLabels = Uint8Array.from([0, 0, 8, 1, 0, 0, 0, 3, 4, 1, 0]);
const cifar = new Uint8Array(2 * 3073).fill(1);
const archives = JSON.parse(readFileSync(new URL('numpy-archives.json', import.meta.url), 'utf8')).files;

interface Subject {
  /** The file that is damaged; the others stay. */
  target: string;
  files: () => Promise<Record<string, Uint8Array>>;
  path?: string;
  rounds: number;
}
const text = (string: string) => new TextEncoder().encode(string);
const subjects: Record<string, Subject> = {
  'IDX images': {
    target: 'train-images-idx3-ubyte',
    files: async () => ({ 'train-images-idx3-ubyte': idxImages, 'train-labels-idx1-ubyte': idxLabels }),
    rounds: 150,
  },
  'IDX labels, packed': {
    target: 'train-labels-idx1-ubyte.gz',
    files: async () => ({ 'train-images-idx3-ubyte': idxImages, 'train-labels-idx1-ubyte.gz': gzipSync(idxLabels) }),
    rounds: 200,
  },
  'IDX images, packed': {
    target: 'train-images-idx3-ubyte.gz',
    files: async () => ({ 'train-images-idx3-ubyte.gz': gzipSync(idxImages), 'train-labels-idx1-ubyte': idxLabels }),
    rounds: 200,
  },
  CIFAR: { target: 'test_batch.bin', files: async () => ({ 'test_batch.bin': cifar }), rounds: 80 },
  npz: {
    target: 'data.npz',
    path: 'data.npz',
    files: async () => ({ 'data.npz': Buffer.from(archives.nhwcUint8, 'base64') }),
    rounds: 300,
  },
  'npz, compressed': {
    target: 'data.npz',
    path: 'data.npz',
    files: async () => ({ 'data.npz': Buffer.from(archives.keras, 'base64') }),
    rounds: 300,
  },
  'labels.tsv': {
    target: 'labels.tsv',
    files: async () => ({
      'labels.tsv': text('a.png\t0\nb.png\tdog\n# more\n'),
      'classes.txt': text('cat\ndog\n'),
      'a.png': await picture().png().toBuffer(),
      'b.png': await picture().png().toBuffer(),
    }),
    rounds: 150,
  },
  JPEG: {
    target: 'a.jpg',
    files: async () => ({ 'labels.tsv': text('a.jpg\t0\n'), 'a.jpg': await picture().jpeg().toBuffer() }),
    rounds: 200,
  },
  PNG: {
    target: 'a.png',
    files: async () => ({ 'labels.tsv': text('a.png\t0\n'), 'a.png': await picture().png().toBuffer() }),
    rounds: 200,
  },
};

/** Cuts the end off, or flips a few bits (more often near the front, where headers are), or sets bytes to 0 or 255. */
function damage(bytes: Uint8Array, next: (low?: number, high?: number) => number): Uint8Array {
  if (next() < 0.15) return bytes.slice(0, Math.floor(next(0, bytes.length)));
  const copy = bytes.slice();
  const places = 1 + Math.floor(next(0, 4));
  for (let i = 0; i < places; i++) {
    const place = Math.floor(copy.length * next() ** (next() < 0.5 ? 3 : 1));
    const kind = next();
    copy[place] = kind < 0.5 ? copy[place]! ^ (1 << Math.floor(next(0, 8))) : kind < 0.75 ? 255 : 0;
  }
  return copy;
}

async function openAndRead(path: string): Promise<void> {
  const dataset = await openDataset(path, { outputs: 1000 });
  // A header's claim, should it get this far, would show here.
  expect(dataset.size).toBeLessThanOrEqual(1000);
  const out = allocateSamples(dataset, dataset.size);
  const labels = new Uint32Array(dataset.size);
  await dataset.read(
    Array.from({ length: dataset.size }, (_, i) => i),
    out,
    labels,
  );
  for (const label of labels) expect(label).toBeLessThan(dataset.classes);
}

test.each(Object.entries(subjects))('%s', async (name, { target, files, path = '.', rounds }) => {
  const place = join(folder, name.replace(/\W/g, '-'));
  await mkdir(place);
  const whole = await files();
  for (const [file, bytes] of Object.entries(whole)) await writeFile(join(place, file), bytes);
  await openAndRead(join(place, path));

  const next = random(20260101 + rounds);
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    await writeFile(join(place, target), damage(whole[target]!, next));
    const started = performance.now();
    try {
      await openAndRead(join(place, path));
    } catch (error) {
      if (!(error instanceof InputError)) throw new Error(`round ${round}: ${(error as Error).stack}`);
      // One sentence that names the folder's file.
      expect(error.message).toContain(place);
      expect(error.message).not.toContain('\n');
      refused++;
    }
    expect(performance.now() - started).toBeLessThan(5000);
  }
  // Mutations that nothing ever refuses would mean that the file is not looked at.
  expect(refused).toBeGreaterThan(rounds / 20);
});
