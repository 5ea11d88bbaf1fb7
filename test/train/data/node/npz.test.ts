/** Archives written by NumPy itself; the fixture says by which version. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { dump } from 'npyjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../../../src/graph/errors.ts';
import type { Dataset } from '../../../../src/train/data/dataset.ts';
import { allocateSamples } from '../../../../src/train/data/dataset.ts';
import { openDataset } from '../../../../src/train/data/node/openDataset.ts';

const { files } = JSON.parse(readFileSync(new URL('numpy-archives.json', import.meta.url), 'utf8')) as {
  files: Record<string, string>;
};
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgslim-npz-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(bytes: Uint8Array): Promise<string> {
  const file = join(folder, 'data.npz');
  await writeFile(file, bytes);
  return file;
}
const numpyFile = (name: string) => fileOf(Buffer.from(files[name]!, 'base64'));

function read(dataset: Dataset) {
  const out = allocateSamples(dataset, dataset.size);
  const labels = new Uint32Array(dataset.size);
  dataset.read(
    Array.from({ length: dataset.size }, (_, i) => i),
    out,
    labels,
  );
  return { out, labels: [...labels] };
}

describe('written by NumPy', () => {
  test('bytes with the channels last become planar', async () => {
    const dataset = await openDataset(await numpyFile('nhwcUint8'));
    expect(dataset).toMatchObject({ kind: 'uint8', size: 2, sampleShape: [3, 4, 5], classes: 3 });
    // x = arange(2*4*5*3): sample s, row y, column x, channel c holds s*60 + y*15 + x*3 + c.
    const expected = Array.from({ length: 120 }, (_, i) => {
      const [s, c, pixel] = [Math.floor(i / 60), Math.floor((i % 60) / 20), i % 20];
      return s * 60 + pixel * 3 + c;
    });
    expect(read(dataset)).toEqual({ out: Uint8Array.from(expected), labels: [2, 0] });
  });

  test('float16 and float64 become float32', async () => {
    const half = await openDataset(await numpyFile('compressedFloat16'));
    expect(half).toMatchObject({ kind: 'float32', sampleShape: [3] });
    const { out, labels } = read(half);
    expect([...out]).toEqual([0.5, -2, 3, 2 * 2 ** -24, 65504, 4]); // 1e-7 rounds to two subnormal steps
    expect(labels).toEqual([1, 0]);
    const double = await openDataset(await numpyFile('float64'));
    expect(read(double)).toEqual({ out: Float32Array.of(1.25, 2.5), labels: [0, 1] });
  });

  test('splits as in the data sets of Keras', async () => {
    const file = await numpyFile('keras');
    const testSet = await openDataset(file);
    expect(testSet).toMatchObject({ split: 'test', size: 1, sampleShape: [1, 2, 2] });
    expect(read(testSet)).toEqual({ out: Uint8Array.of(9, 9, 9, 9), labels: [4] });
    const train = await openDataset(file, { split: 'train', limit: 2 });
    expect(read(train)).toEqual({ out: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: [5, 1] });
  });

  test.each([
    ['fortran', /data.npz: x is in Fortran order/],
    ['bigEndian', /x has dtype >f4/],
    ['text', /x has dtype <U1/],
    ['fractionalLabel', /y\[1\] is 1.5, not a class/],
    ['mismatch', /y holds 3 labels, but x holds 2 samples/],
  ])('refuses %s', async (name, message) => {
    const file = await numpyFile(name);
    await expect(openDataset(file)).rejects.toThrow(InputError);
    await expect(openDataset(file)).rejects.toThrow(message);
  });
});

describe('archives made to harm', () => {
  const x = new Uint8Array(dump(Uint8Array.of(1, 2), [2, 1]));
  const y = new Uint8Array(dump(Uint8Array.of(0, 1), [2]));
  const header = (text: string) => {
    const bytes = new Uint8Array(10 + text.length);
    bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
    bytes.set(new TextEncoder().encode(text), 10);
    return bytes;
  };

  test('the same made whole', async () => {
    expect((await openDataset(await fileOf(zipSync({ 'x.npy': x, 'y.npy': y })))).size).toBe(2);
  });

  test.each([
    ['no y', { 'x.npy': x }, /has no arrays x and y/],
    ['no array', { 'x.npy': Uint8Array.of(1, 2, 3), 'y.npy': y }, /x is not a NumPy array/],
    [
      'shape beyond the data',
      { 'x.npy': header("{'descr':'|u1','fortran_order':False,'shape':(2,1000000000)}"), 'y.npy': y },
      /x has the shape \(2, 1000000000\) but 0 elements/,
    ],
    [
      'negative shape',
      { 'x.npy': header("{'descr':'|u1','fortran_order':False,'shape':(-2,)}"), 'y.npy': y },
      /x has the shape \(-2\)/,
    ],
    [
      'text of no length',
      { 'x.npy': header("{'descr':'<U0','fortran_order':False,'shape':(2,)}"), 'y.npy': y },
      /x has dtype <U0/,
    ],
    ['no dtype', { 'x.npy': header("{'fortran_order':False,'shape':(2,)}"), 'y.npy': y }, /x is not a NumPy array/],
    [
      'wide labels',
      { 'x.npy': x, 'y.npy': new Uint8Array(dump(Uint8Array.of(0, 1, 2, 3), [2, 2])) },
      /y has the shape \(2, 2\)/,
    ],
    ['negative label', { 'x.npy': x, 'y.npy': new Uint8Array(dump(Int8Array.of(0, -1), [2])) }, /y\[1\] is -1/],
  ])('%s', async (_, members, message) => {
    const file = await fileOf(zipSync(members as Record<string, Uint8Array>));
    await expect(openDataset(file)).rejects.toThrow(InputError);
    await expect(openDataset(file)).rejects.toThrow(message);
  });

  test('a member that claims 4 GB', async () => {
    const zip = zipSync({ 'x.npy': x, 'y.npy': y });
    const view = new DataView(zip.buffer);
    for (let i = 0; i + 46 < zip.length; i++) {
      if (view.getUint32(i, true) === 0x02014b50) view.setUint32(i + 24, 0xfffffff0, true);
    }
    await expect(openDataset(await fileOf(zip))).rejects.toThrow(
      /x claims 4294967280 bytes, more than the file can hold/,
    );
  });

  test('a directory that claims four billion members', async () => {
    const zip = Buffer.from(zipSync({ 'x.npy': x, 'y.npy': y }));
    const end = zip.length - 22;
    const record64 = Buffer.alloc(56);
    record64.writeUInt32LE(0x06064b50, 0);
    record64.writeUInt32LE(0xffffffff, 32);
    record64.writeUInt32LE(zip.readUInt32LE(end + 16), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeUInt32LE(end, 8);
    const file = await fileOf(Buffer.concat([zip.subarray(0, end), record64, locator, zip.subarray(end)]));
    await expect(openDataset(file)).rejects.toThrow(/has more than 10000 members/);
  });
});
