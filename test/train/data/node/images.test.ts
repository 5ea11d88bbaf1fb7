/** Folders of image files. Pixels of PNG are exact; the ImageNet samples' accuracies are checked where models are run. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../../../src/graph/errors.ts';
import type { Dataset } from '../../../../src/train/data/dataset.ts';
import { allocateSamples } from '../../../../src/train/data/dataset.ts';
import { loadImage } from '../../../../src/train/data/node/image.ts';
import { openDataset } from '../../../../src/train/data/node/openDataset.ts';

let folder: string;
let made = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgslim-images-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function folderOf(files: Record<string, Uint8Array | string>): Promise<string> {
  const path = join(folder, String(made++));
  await mkdir(path);
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), bytes);
  }
  return path;
}

async function read(dataset: Dataset, indices = Array.from({ length: dataset.size }, (_, i) => i)) {
  const out = allocateSamples(dataset, indices.length);
  const labels = new Uint32Array(indices.length);
  await dataset.read(indices, out, labels);
  return { out: [...out], labels: [...labels] };
}

/** Interleaved pixels as a PNG (or another format). */
function image(pixels: number[], width: number, channels: 1 | 2 | 3 | 4, format: 'png' | 'jpeg' | 'webp' = 'png') {
  const raw = { width, height: pixels.length / width / channels, channels };
  const input = sharp(Uint8Array.from(pixels), { raw });
  const coloured = channels < 3 ? input.toColourspace('b-w') : input;
  return coloured.toFormat(format, format === 'webp' ? { lossless: true } : {}).toBuffer();
}
const red = [255, 0, 0];
const green = [0, 255, 0];

describe('a folder per class', () => {
  test('planar pixels, classes by name, images taking turns', async () => {
    const path = await folderOf({
      'cat/a.png': await image([1, 2, 3, 4, 5, 6], 2, 3),
      'cat/b.png': await image([...red, ...green], 2, 3),
      'cat/notes.txt': 'not an image',
      'ant/z.png': await image([7, 8, 9, 10, 11, 12], 2, 3),
      '.hidden/x.png': 'ignored',
    });
    const dataset = await openDataset(path);
    expect(dataset).toMatchObject({ size: 3, sampleShape: [3, 1, 2], classes: 2, classNames: ['ant', 'cat'] });
    expect(await read(dataset)).toEqual({
      out: [7, 10, 8, 11, 9, 12, 1, 4, 2, 5, 3, 6, 255, 0, 0, 255, 0, 0],
      labels: [0, 1, 1],
    });
    expect((await read(await openDataset(path, { limit: 2 }))).labels).toEqual([0, 1]);
    // Twice: once decoded, once from the cache; and without room for a cache.
    expect(await read(dataset)).toEqual(await read(dataset));
    expect(await read(await openDataset(path, { cacheBytes: 6 }))).toEqual(await read(dataset));
  });

  test('splits; a class without test images keeps its number', async () => {
    const path = await folderOf({
      'train/a/1.png': await image(red, 1, 3),
      'train/b/1.png': await image(green, 1, 3),
      'val/b/2.png': await image([9, 9, 9], 1, 3),
    });
    expect(await openDataset(path)).toMatchObject({ split: 'test', size: 1, classes: 2 });
    expect((await read(await openDataset(path))).labels).toEqual([1]);
    expect(await openDataset(path, { split: 'train' })).toMatchObject({ split: 'train', size: 2 });
    const odd = await folderOf({ 'train/a/1.png': await image(red, 1, 3), 'test/c/1.png': await image(red, 1, 3) });
    await expect(openDataset(odd)).rejects.toThrow(/test.c: is not one of the 1 known classes/);
    const only = await folderOf({ 'train/a/1.png': await image(red, 1, 3) });
    await expect(openDataset(only, { split: 'test' })).rejects.toThrow(/has no test set, only train/);
  });
});

describe('decoding', () => {
  test('grey stays grey, or becomes what the model wants; transparency is dropped', async () => {
    const grey = await folderOf({ 'a/1.png': await image([10, 200], 2, 1) });
    expect(await openDataset(grey)).toMatchObject({ sampleShape: [1, 1, 2] });
    expect((await read(await openDataset(grey))).out).toEqual([10, 200]);
    expect((await read(await openDataset(grey, { channels: 3 }))).out).toEqual([10, 200, 10, 200, 10, 200]);
    const colour = await folderOf({ 'a/1.png': await image([50, 50, 50, 90, 90, 90], 2, 3) });
    expect((await read(await openDataset(colour, { channels: 1 }))).out).toEqual([50, 90]);
    const mixed = await folderOf({
      'a/1.png': await image([10, 200], 2, 1),
      'a/2.png': await image([...red, ...red], 2, 3),
    });
    expect((await openDataset(mixed)).sampleShape).toEqual([3, 1, 2]);
    const clear = await folderOf({ 'a/1.png': await image([...red, 128, ...green, 0], 2, 4) });
    expect((await read(await openDataset(clear))).out).toEqual([255, 0, 0, 255, 0, 0]);
    const greyClear = await folderOf({ 'a/1.png': await image([10, 0, 20, 255], 2, 2) });
    expect((await read(await openDataset(greyClear))).out).toEqual([10, 20]);
  });

  test('16 bits, palettes and WebP', async () => {
    const wide = sharp(Uint16Array.of(0x1200, 0x34ff), { raw: { width: 2, height: 1, channels: 1 } });
    const file = join(await folderOf({}), 'wide.png');
    await wide.toColourspace('grey16').png().toFile(file);
    expect((await sharp(file).metadata()).depth).toBe('ushort');
    expect([...(await loadImage(file, 1, {})).data]).toEqual([0x12, 0x35]); // 0x34ff / 257 = 52.8
    const palette = join(dirname(file), 'palette.png');
    await sharp(Uint8Array.from([...red, ...green]), { raw: { width: 2, height: 1, channels: 3 } })
      .png({ palette: true })
      .toFile(palette);
    expect([...(await loadImage(palette, 3, {})).data]).toEqual([255, 0, 0, 255, 0, 0]);
    const webp = await folderOf({ 'a/1.webp': await image([1, 2, 3, 40, 50, 60], 2, 3, 'webp') });
    expect((await read(await openDataset(webp))).out).toEqual([1, 40, 2, 50, 3, 60]);
  });

  test('resize and crop make different sizes one', async () => {
    const ramp = (width: number, height: number) =>
      image(
        Array.from({ length: width * height }, (_, i) => 10 * (i % width)),
        width,
        1,
      );
    const path = await folderOf({ 'a/1.png': await ramp(8, 4), 'a/2.png': await ramp(6, 6) });
    await expect(openDataset(path)).rejects.toThrow(/2.png: is 6 x 6 where the images before it are 8 x 4/);
    const dataset = await openDataset(path, { preprocess: { resize: { shortSide: 4 }, crop: 2 } });
    expect(dataset.sampleShape).toEqual([1, 2, 2]);
    // The first is cut at columns 3 and 4 as it is; the second shrinks by 1.5, to centres 2.5 - 1.5/2 and + 1.5/2.
    const { out } = await read(dataset);
    expect(out.slice(0, 4)).toEqual([30, 40, 30, 40]);
    expect(out[4]! + out[5]!).toBe(50);
    await expect(openDataset(path, { preprocess: { crop: 5 } }).then((d) => read(d))).rejects.toThrow(
      /1.png: crop 5 is larger than the image, 8 x 4/,
    );
  });

  test('rotation by EXIF is not applied', async () => {
    const jpeg = await sharp({ create: { width: 4, height: 2, channels: 3, background: 'red' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    const path = await folderOf({ 'a/1.jpg': jpeg });
    expect((await openDataset(path)).sampleShape).toEqual([3, 2, 4]);
    const [r, g, b] = (await read(await openDataset(path))).out.filter((_, i) => i % 8 === 0);
    expect(r).toBeGreaterThan(250);
    expect(Math.max(g!, b!)).toBeLessThan(5);
  });

  test.each([
    ['text', Buffer.from('no image at all'), /is not a JPEG, PNG or WebP image/],
    [
      'SVG',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'),
      /is not a JPEG, PNG or WebP/,
    ],
    ['nothing', Buffer.alloc(0), /is not a JPEG/],
    ['half a JPEG', null, /cannot be decoded/],
  ])('refuses %s', async (_, bytes, message) => {
    const noise = Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 256);
    const jpeg = await image(noise, 64, 3, 'jpeg');
    const path = await folderOf({ 'a/1.jpg': bytes ?? jpeg.subarray(0, jpeg.length / 2) });
    const reading = openDataset(path).then((dataset) => read(dataset));
    await expect(reading).rejects.toThrow(InputError);
    await expect(openDataset(path).then((dataset) => read(dataset))).rejects.toThrow(message);
  });

  test('refuses a header that claims a gigapixel', async () => {
    const png = await image(red, 1, 3);
    const huge = Buffer.from(png);
    huge.writeUInt32BE(60_000, 16);
    huge.writeUInt32BE(60_000, 20);
    // The checksum of the header has to be right, or the decoder looks no further.
    huge.writeUInt32BE(pngCrc(huge.subarray(12, 29)) >>> 0, 29);
    const path = await folderOf({ 'a/1.png': huge });
    await expect(openDataset(path)).rejects.toThrow(/1.png: .*(claims 60000 x 60000 pixels|pixel limit)/);
  });
});

/** CRC-32 as in the PNG specification, appendix D. */
function pngCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc;
}

describe('labels.tsv', () => {
  test('numbers', async () => {
    const path = await folderOf({
      'labels.tsv': '# file and class\na.png\t3\r\n\nsub/b.png\t0\n',
      'a.png': await image(red, 1, 3),
      'sub/b.png': await image(green, 1, 3),
      'unlisted.png': 'ignored',
    });
    const dataset = await openDataset(path);
    expect(dataset).toMatchObject({ size: 2, classes: 4 });
    expect(await read(dataset)).toEqual({ out: [...red, ...green], labels: [3, 0] });
    expect((await openDataset(join(path, 'labels.tsv'))).size).toBe(2);
  });

  test('names of classes.txt', async () => {
    const png = await image(red, 1, 3);
    const path = await folderOf({
      'labels.tsv': 'a.png\tdog\nb.png\t0\n',
      'classes.txt': 'cat\ndog\n3\n',
      'a.png': png,
      'b.png': png,
    });
    const dataset = await openDataset(path);
    expect(dataset).toMatchObject({ classes: 3, classNames: ['cat', 'dog', '3'] });
    expect((await read(dataset)).labels).toEqual([1, 0]);
  });

  test.each([
    ['unknown class', 'a.png\twolf\n', 'cat\ndog\n', /labels.tsv: line 1: the class "wolf" is not among the 2/],
    ['number beyond classes.txt', 'a.png\t2\n', 'cat\ndog\n', /the class 2 is not in 0 .. 1/],
    ['name without classes.txt', 'a.png\tcat\n', undefined, /the class "cat" is no number/],
    ['negative class', 'a.png\t-1\n', undefined, /the class -1 is not in/],
    ['absurd class', 'a.png\t4294967296\n', undefined, /the class 4294967296 is not in/],
    ['fraction', 'a.png\t0.5\n', undefined, /"0.5" is no number/],
    ['no tab', 'a.png 1\n', undefined, /line 1: has 1 fields/],
    ['path that escapes', '../a.png\t0\n', undefined, /"..\/a.png" does not lie in the folder/],
    ['absolute path', '/etc/passwd\t0\n', undefined, /does not lie in the folder/],
    ['drive', 'C:\\a.png\t0\n', undefined, /does not lie in the folder/],
    ['missing file', 'a.png\t0\nb.png\t0\n', undefined, /b.png: does not exist/],
    ['twice the same', 'a.png\t0\na.png\t1\n', undefined, /line 2: "a.png" is also on line 1/],
    ['a folder', '.\t0\n', undefined, /is named in .* but is not a file/],
    ['nothing', '\n', undefined, /names no images/],
    ['empty name in classes.txt', 'a.png\t0\n', 'cat\n\ndog', /classes.txt: line 2 is empty/],
    ['same name in classes.txt', 'a.png\t0\n', 'cat\ncat', /"cat" is also on line 1/],
  ])('refuses: %s', async (_, labels, classes, message) => {
    const path = await folderOf({
      'labels.tsv': labels,
      'a.png': await image(red, 1, 3),
      ...(classes && { 'classes.txt': classes }),
    });
    await expect(openDataset(path)).rejects.toThrow(InputError);
    await expect(openDataset(path)).rejects.toThrow(message);
  });

  test('refuses a link that leaves the folder', async () => {
    const outside = await folderOf({ 'secret.png': await image(red, 1, 3) });
    const path = await folderOf({ 'labels.tsv': 'a.png\t0\n' });
    await symlink(join(outside, 'secret.png'), join(path, 'a.png'));
    await expect(openDataset(path)).rejects.toThrow(/is a link that leaves the folder/);
  });
});
