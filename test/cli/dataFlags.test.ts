import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DataFlags } from '../../src/cli/dataFlags.ts';
import { addDataOptions, readDataFlags } from '../../src/cli/dataFlags.ts';
import { InputError } from '../../src/graph/errors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgslim-flags-'));
});
afterAll(() => rm(folder, { recursive: true }));

function parse(...args: string[]): DataFlags {
  return addDataOptions(new Command())
    .exitOverride()
    .parse(['--data', 'd', ...args], { from: 'user' })
    .opts();
}

test('every option', async () => {
  const flags = parse(
    ...'--split train --scale 1/127.5 --mean 1,-2,0.5 --std 2 --channels bgr'.split(' '),
    ...'--resize 256x224 --crop 128 --limit 50 --label-offset 1'.split(' '),
  );
  const { path, openOptions, preprocess } = await readDataFlags(flags);
  expect(path).toBe('d');
  expect(preprocess).toEqual({
    scale: 1 / 127.5,
    mean: [1, -2, 0.5],
    std: [2],
    channels: 'bgr',
    resize: { width: 256, height: 224 },
    crop: 128,
    labelOffset: 1,
  });
  expect(openOptions).toEqual({ split: 'train', limit: 50, preprocess });
});

test('a negative mean first', async () => {
  expect((await readDataFlags(parse('--mean', '-1,2,3'))).preprocess.mean).toEqual([-1, 2, 3]);
});

test('options win over the file, the file over what the model remembers', async () => {
  const file = join(folder, 'pre.json');
  await writeFile(file, JSON.stringify({ mean: 0.5, std: 0.25, resize: 40 }));
  const remembered = { scale: 2, mean: [7], std: [7], channels: 'bgr' as const, crop: 9 };
  const { preprocess } = await readDataFlags(parse('--preprocess', file, '--std', '3'), remembered);
  expect(preprocess).toEqual({ scale: 2, mean: [0.5], std: [3], channels: 'bgr', resize: { shortSide: 40 }, crop: 9 });
});

test('floats are not scaled unless that is asked for', async () => {
  const floats = { kind: 'float32' as const, sampleShape: [3, 4, 4], name: 'x.npz' };
  expect((await readDataFlags(parse())).preprocessFor(floats).scale).toBe(1);
  expect((await readDataFlags(parse())).preprocessFor({ ...floats, kind: 'uint8' }).scale).toBe(1 / 255);
  expect((await readDataFlags(parse('--scale', '0.5'))).preprocessFor(floats).scale).toBe(0.5);
  const { preprocessFor } = await readDataFlags(parse('--mean', '1,2'));
  expect(() => preprocessFor(floats)).toThrow('x.npz: mean has 2 numbers, but a sample has 3 channel(s).');
});

describe('refuses', () => {
  test.each([
    [['--split', 'both'], /--split: "both" is neither train nor test/],
    [['--limit', '0'], /--limit: "0" is not a positive whole number/],
    [['--limit', '1.5'], /--limit: "1.5"/],
    [['--scale', 'big'], /--scale: "big" is not a number/],
    [['--scale', '1/0'], /--scale: "1\/0" is not a number/],
    [['--mean', '1,,2'], /--mean: "" is not a number/],
    [['--std', '0'], /std\.0 must not be 0/],
    [['--channels', 'rbg'], /channels must be "rgb" or "bgr"/],
    [['--resize', '4x'], /resize must be N/],
    [['--crop', '-3'], /crop must be at least 1/],
    [['--preprocess', 'missing.json'], /missing.json: does not exist/],
  ])('%j', async (args, message) => {
    await expect(readDataFlags(parse(...args))).rejects.toThrow(InputError);
    await expect(readDataFlags(parse(...args))).rejects.toThrow(message);
  });

  test.each([
    ['{"mean": 1', /bad.json: is not JSON/],
    ['[1]', /bad.json: is not a JSON object/],
    ['{"means": 1}', /bad.json: means is not a field/],
  ])('a file with %j', async (text, message) => {
    const file = join(folder, 'bad.json');
    await writeFile(file, text);
    await expect(readDataFlags(parse('--preprocess', file))).rejects.toThrow(message);
  });
});
