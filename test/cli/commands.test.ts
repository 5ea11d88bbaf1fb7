/** Every command on a small network, judged by onnxruntime and by what the contract says of its JSON. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { floatTensor } from '../../src/graph/tensor.ts';
import { runOnnxruntime } from '../onnx/ort.ts';
import { CLASSES, type Fixture, makeFixture, SIDE, wgslim } from './fixture.ts';

const PIXELS = SIDE * SIDE;

let fixture: Fixture;
/** Logits of the test images, by onnxruntime. */
let logits: Float32Array;
beforeAll(async () => {
  fixture = await makeFixture();
  const { images, labels } = fixture.test;
  const pixels = Float32Array.from(images, (pixel) => pixel / 255);
  const outputs = await runOnnxruntime(await readFile(fixture.model), {
    image: floatTensor([labels.length, 1, SIDE, SIDE], pixels),
  });
  logits = outputs.logits!.data as Float32Array;
});
afterAll(() => rm(fixture.folder, { recursive: true }));

/** The one JSON document on stdout. */
async function json(...args: string[]) {
  const { code, stdout, stderr } = await wgslim(...args, '--json');
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

async function text(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await wgslim(...args);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

describe('info', () => {
  it('names the adapter, features, limits and kernels', async () => {
    const info = await json('info');
    expect(info.adapter).toEqual({
      name: expect.any(String),
      kind: expect.stringMatching(/^(gpu|cpu)$/),
      driver: expect.any(String),
    });
    expect(info.source).toContain(' ');
    expect(info.limits.maxComputeInvocationsPerWorkgroup).toBeGreaterThanOrEqual(256);
    expect(info.features).toEqual([...info.features].sort());
    expect(Object.keys(info.kernels)).toContain('convolution');
  });
});

describe('inspect', () => {
  it('counts what layers hold and cost', async () => {
    const model = await json('inspect', fixture.model);
    const dense = CLASSES * 4 * PIXELS;
    expect(model).toMatchObject({
      model: fixture.model,
      format: 'onnx',
      parameters: 36 + 4 + dense + CLASSES,
      nonzero: 36 + 4 + dense + CLASSES,
      macs: 36 * PIXELS + dense,
      bytes: (await readFile(fixture.model)).length,
    });
    expect(model.layers.map(({ op }: { op: string }) => op)).toEqual(['Conv', 'Relu', 'Flatten', 'Gemm']);
    expect(model.layers[0]).toMatchObject({ shape: [1, 4, SIDE, SIDE], parameters: 40, bits: 32, bytes: 160 });
    expect(model.layers[1]).toMatchObject({ parameters: 0, macs: 0, bits: 0, bytes: 0 });
  });
});

describe('eval', () => {
  it('gives the accuracy and loss of onnxruntime’s outputs', async () => {
    const { labels } = fixture.test;
    let correct = 0;
    let loss = 0;
    for (const [sample, label] of labels.entries()) {
      const row = Array.from(logits.subarray(sample * CLASSES, (sample + 1) * CLASSES));
      if (row.indexOf(Math.max(...row)) === label) correct++;
      loss += Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) - row[label]!;
    }
    const result = await json('eval', fixture.model, '--data', fixture.data, '--batch', '7');
    expect(result).toMatchObject({ model: fixture.model, images: labels.length, top5: 1 });
    expect(result.top1).toBeCloseTo(correct / labels.length, 12);
    expect(result.loss).toBeCloseTo(loss / labels.length, 5);
    expect(result.imagesPerSecond).toBeCloseTo(result.images / result.seconds, 6);
    expect(result.adapter.kind).toMatch(/gpu|cpu/);

    const shown = await wgslim('eval', fixture.model, '--data', fixture.data);
    expect(shown.stdout).toContain(`${(100 * result.top1).toFixed(2)} %`);
    expect(shown.stderr).toContain('evaluate: 30 of 30');
  });

  it('takes the first so many of the other split, in silence', async () => {
    const { code, stdout, stderr } = await wgslim(
      ...['eval', fixture.model, '--data', fixture.data, '--split', 'train', '--limit', '40', '--quiet', '--json'],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout).images).toBe(40);
  });
});

describe('run', () => {
  const image = async (name: string) => {
    const path = join(fixture.folder, name);
    const pixels = Buffer.from(fixture.test.images.subarray(0, PIXELS));
    await sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 1 } })
      .png()
      .toFile(path);
    return path;
  };
  const npy = async (name: string, descr: string, shape: string, data: Uint8Array) => {
    const path = join(fixture.folder, name);
    const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }`.padEnd(117);
    await writeFile(
      path,
      Buffer.concat([Buffer.from('\x93NUMPY\x01\0\x76\0', 'latin1'), Buffer.from(`${header}\n`), data]),
    );
    return path;
  };
  const expected = () => Array.from(logits.subarray(0, CLASSES));
  const check = (ranked: { class: number; value: number; probability: number }[]) => {
    const row = expected();
    const order = row.map((_, i) => i).sort((a, b) => row[b]! - row[a]!);
    expect(ranked.map((entry) => entry.class)).toEqual(order);
    for (const entry of ranked) expect(entry.value).toBeCloseTo(row[entry.class]!, 4);
    expect(ranked.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 6);
  };

  it('classifies an image as onnxruntime does', async () => {
    const { results, output } = await json('run', fixture.model, '--input', await image('a.png'));
    expect(output.shape).toEqual([1, CLASSES]);
    check(results[0]);
  });

  it('preprocesses bytes of an array, and takes floats as they are', async () => {
    const bytes = fixture.test.images.subarray(0, PIXELS);
    check((await json('run', fixture.model, '--input', await npy('b.npy', '|u1', '8, 8', bytes))).results[0]);
    const floats = Float32Array.from(bytes, (pixel) => pixel / 255);
    const raw = new Uint8Array(floats.buffer);
    check((await json('run', fixture.model, '--input', await npy('f.npy', '<f4', '1, 8, 8', raw))).results[0]);
  });

  it('runs a batch, and writes what NumPy reads', async () => {
    const floats = Float32Array.from(fixture.test.images, (pixel) => pixel / 255);
    const input = await npy('batch.npy', '<f4', '30, 1, 8, 8', new Uint8Array(floats.buffer));
    const out = join(fixture.folder, 'out.npy');
    const { results } = await json('run', fixture.model, '--input', input, '-o', out, '--top', '1');
    expect(results).toHaveLength(30);
    const written = await readFile(out);
    expect(written.subarray(0, 6).toString('latin1')).toBe('\x93NUMPY');
    const length = written.readUInt16LE(8);
    expect(written.subarray(10, 10 + length).toString()).toMatch(/'<f4'.*\(30, ?3\)/);
    const values = new Float32Array(
      written.buffer.slice(written.byteOffset + 10 + length, written.byteOffset + written.length),
    );
    expect(values).toHaveLength(30 * CLASSES);
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(logits[i]!, 4);
  });

  it('names classes out of a file', async () => {
    const labels = join(fixture.folder, 'names.txt');
    await writeFile(labels, 'top\nmiddle\nbottom\n');
    const { results } = await json('run', fixture.model, '--input', await image('c.png'), '--labels', labels);
    for (const entry of results[0]) expect(entry.name).toBe(['top', 'middle', 'bottom'][entry.class]);
  });
});

describe('sensitivity', () => {
  it('lists layers, channels and what compressing each alone costs', async () => {
    const args = [
      'sensitivity',
      fixture.model,
      '--data',
      fixture.data,
      '--samples',
      '64',
      '--sparsity',
      '0.9',
      '--bits',
      '8,2',
    ];
    const { layers, baseline, samples } = await json(...args);
    expect(samples).toBe(64);
    expect(layers.map(({ weight }: { weight: string }) => weight)).toEqual(['conv.weight', 'dense.weight']);
    expect(layers.map(({ channels }: { channels: number[] }) => channels.length)).toEqual([4, CLASSES]);
    for (const { mean, sum, elements, channels, probes } of layers) {
      expect(sum).toBeCloseTo(mean * elements, 6);
      expect(channels.reduce((total: number, value: number) => total + value, 0)).toBeCloseTo(sum, 6);
      expect(probes.map(({ kind, setting }: { kind: string; setting: number }) => [kind, setting])).toEqual([
        ['prune', 0.9],
        ['quantize', 8],
        ['quantize', 2],
      ]);
      // Eight bits round little.
      expect(Math.abs(probes[1].lossIncrease)).toBeLessThan(0.02);
      expect(probes[0].loss).toBeCloseTo(baseline.loss + probes[0].lossIncrease, 6);
    }
    const plain = await json('sensitivity', fixture.model, '--data', fixture.data, '--no-probe', '--kind', 'magnitude');
    expect(plain.layers[0]).not.toHaveProperty('probes');
  });
});

describe('compress', () => {
  const recipe = {
    name: 'small',
    stages: [
      {
        kind: 'prune',
        name: 'prune',
        sparsity: 0.7,
        calibration: { samples: 60, batch: 15 },
        training: { epochs: 4, batch: 15, optimizer: { kind: 'adam', learningRate: 0.01 } },
      },
      {
        kind: 'quantize',
        name: 'quantize',
        weights: { bits: 4 },
        training: { epochs: 2, batch: 15, optimizer: { kind: 'adam', learningRate: 0.003 }, distill: {} },
      },
    ],
  };
  let recipePath: string;
  let out: string;
  const args = (...more: string[]) => [
    'compress',
    fixture.model,
    '--data',
    fixture.data,
    '--recipe',
    recipePath,
    '-o',
    out,
    ...more,
  ];
  beforeAll(async () => {
    recipePath = join(fixture.folder, 'recipe.json');
    out = join(fixture.folder, 'small.wgslim');
    await writeFile(recipePath, JSON.stringify(recipe));
  });

  it('writes a small file whose figures are those of the report', async () => {
    const report = await json(...args());
    const parameters = 36 + 4 + CLASSES * 4 * PIXELS + CLASSES;
    const bytes = (await readFile(out)).length;
    expect(report).toMatchObject({ out, bytes, originalBytes: 4 * parameters });
    expect(report.ratio).toBeCloseTo(report.originalBytes / bytes, 9);
    expect(report.stages.map(({ name }: { name: string }) => name)).toEqual(['prune', 'quantize']);
    expect(report.stages[1]).toMatchObject({ top1: report.top1, bytes, bits: 4 });
    expect(report.stages[0].sparsity).toBeCloseTo(0.7, 1);
    const before = await json('eval', fixture.model, '--data', fixture.data);
    expect(report.originalTop1).toBe(before.top1);

    const after = await json('eval', out, '--data', fixture.data);
    expect({ top1: after.top1, loss: after.loss }).toEqual({ top1: report.top1, loss: report.stages[1].loss });
    // The untrained network guesses; trained on the bands it does not.
    expect(after.top1).toBeGreaterThan(0.9);
    const inspected = await json('inspect', out);
    expect(inspected).toMatchObject({ format: 'wgslim', bytes, parameters });
    const weights = inspected.layers.filter(({ parameters: count }: { parameters: number }) => count > 0);
    expect(weights.map(({ bits }: { bits: number }) => bits)).toEqual([4, 4]);
    expect(inspected.nonzero).toBeLessThan(0.4 * parameters);
    const names = await readdir(`${out}.run`);
    expect(names).toEqual(expect.arrayContaining(['log.jsonl', 'result.json', 'stage-2-quantize.wgslim']));
  });

  it('--resume of a finished run gives the same file, --fresh makes it anew', async () => {
    const first = await readFile(out);
    await rm(out);
    await json(...args('--resume'));
    expect(await readFile(out)).toEqual(first);
    const report = await text(...args('--fresh'));
    expect(await readFile(out)).toEqual(first);
    expect(report).toMatch(/original .*\nprune .*\nquantize /);
  });

  it('keeps a part for measuring where data have no test set', async () => {
    const arrays = join(fixture.folder, 'plain');
    const { images, labels } = fixture.test;
    for (const [i, label] of labels.entries()) {
      const path = join(arrays, `class${label}`, `${i}.png`);
      await mkdir(join(arrays, `class${label}`), { recursive: true });
      const pixels = Buffer.from(images.subarray(i * PIXELS, (i + 1) * PIXELS));
      await sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 1 } })
        .png()
        .toFile(path);
    }
    const target = join(fixture.folder, 'plain.wgslim');
    const { code, stdout, stderr } = await wgslim(
      'compress',
      fixture.model,
      '--data',
      arrays,
      '--recipe',
      recipePath,
      '-o',
      target,
      '--json',
    );
    expect(code).toBe(0);
    expect(stderr).toContain('no test set');
    // A fifth of 30 images: accuracies are sixths.
    const sixths = 6 * JSON.parse(stdout).originalTop1;
    expect(sixths).toBeCloseTo(Math.round(sixths), 9);
    // The folder's names are the classes', and the file remembers them.
    const picture = join(arrays, 'class0', '0.png');
    const { results } = await json('run', target, '--input', picture);
    expect(results[0][0].name).toBe(`class${results[0][0].class}`);
  });
});
