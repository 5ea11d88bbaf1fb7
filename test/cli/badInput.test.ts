/** Whatever is wrong with a command line or a file: exit code 2, one sentence on stderr that names it, nothing written. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportOnnx } from '../../src/onnx/export.ts';
import { sketchGraph } from '../onnx/build.ts';
import { type Fixture, makeFixture, wgslim } from './fixture.ts';

let fixture: Fixture;
let recipe: string;
beforeAll(async () => {
  fixture = await makeFixture();
  recipe = await file('recipe.json', JSON.stringify({ stages: [{ kind: 'prune', sparsity: 0.5 }] }));
});
afterAll(() => rm(fixture.folder, { recursive: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(fixture.folder, name);
  await writeFile(path, content);
  return path;
}

/** Expects the refusal, and that the folder holds what it held. */
async function refused(args: string[], ...words: string[]): Promise<void> {
  const before = await readdir(fixture.folder, { recursive: true });
  const { code, stdout, stderr } = await wgslim(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  const lines = stderr.split('\n').filter((line) => line && !line.startsWith('Warning: max'));
  expect(lines).toHaveLength(1);
  for (const word of words) expect(lines[0]).toContain(word);
  expect(await readdir(fixture.folder, { recursive: true })).toEqual(before);
}

describe('usage', () => {
  it.each([
    [['bogus'], ['bogus']],
    [['inspect'], ["'model'"]],
    [['eval', 'x.onnx'], ['--data']],
    [['compress', 'x.onnx', '--data', 'd', '-o', 'o'], ['--recipe']],
    [['run', 'x.onnx'], ['--input']],
    [['info', '--bogus'], ['--bogus']],
    [['info', 'extra'], ['too many arguments']],
    [
      ['info', '--adapter', 'cuda'],
      ['--adapter', 'cuda', 'swiftshader'],
    ],
    [
      ['info', '--experimental', 'tensor-cores'],
      ['--experimental', 'tensor-cores', 'subgroup-matrix'],
    ],
    [
      ['eval', 'x.onnx', '--data', 'd', '--batch', '0'],
      ['--batch', 'from 1 to 65536'],
    ],
    [['eval', 'x.onnx', '--data', 'd', '--batch', '1e3'], ['--batch']],
    [
      ['run', 'x.onnx', '--input', 'x.npy', '--precision', 'f8'],
      ['--precision', 'f16'],
    ],
    [
      ['profile', 'x.onnx', '--train', '--precision', 'f16'],
      ['--precision', 'training'],
    ],
    [['inspect', 'x.onnx', '--input-shape', '1x0x3'], ['--input-shape']],
    [
      ['sensitivity', 'x.onnx', '--data', 'd', '--sparsity', '1.5'],
      ['--sparsity', 'between 0 and 1'],
    ],
    [['sensitivity', 'x.onnx', '--data', 'd', '--bits', '4,9'], ['--bits']],
    [
      ['sensitivity', 'x.onnx', '--data', 'd', '--kind', 'hessian'],
      ['--kind', 'taylor'],
    ],
    [['run', 'x.onnx', '--input', 'i', '--top', '-1'], ['--top']],
  ])('%j', (args, words) => refused(args, ...words));

  it('reads WGSLIM_ADAPTER like --adapter', async () => {
    const before = process.env.WGSLIM_ADAPTER;
    process.env.WGSLIM_ADAPTER = 'cuda';
    try {
      await refused(['info'], 'WGSLIM_ADAPTER', 'cuda');
    } finally {
      if (before === undefined) delete process.env.WGSLIM_ADAPTER;
      else process.env.WGSLIM_ADAPTER = before;
    }
  });

  it('shows help where no command is given, and says 2', async () => {
    const { code, stderr } = await wgslim();
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: wgslim');
  });

  it.each(['info', 'inspect', 'eval', 'sensitivity', 'compress', 'run'])(
    'explains %s with examples',
    async (command) => {
      const { code, stdout } = await wgslim(command, '--help');
      expect(code).toBe(0);
      expect(stdout).toContain('Examples:');
      expect(stdout).toContain('--json');
    },
  );
});

describe('models', () => {
  it('that are not there', () =>
    refused(['inspect', join(fixture.folder, 'none.onnx')], 'none.onnx', 'does not exist'));
  it('that are folders', () => refused(['inspect', fixture.data], fixture.data, 'not a regular file'));
  it('that are empty', async () => refused(['inspect', await file('empty.onnx', '')], 'empty.onnx'));
  it('that are text', async () => refused(['inspect', await file('text.onnx', 'not a model')], 'text.onnx'));
  it('that are cut off, anywhere', async () => {
    const whole = await readFile(fixture.model);
    for (const part of [0.1, 0.5, 0.9, 0.99]) {
      const path = await file('cut.onnx', whole.subarray(0, Math.floor(part * whole.length)));
      await refused(['eval', path, '--data', fixture.data], 'cut.onnx');
    }
  });
  it('that claim to be compressed', async () => {
    const path = await file(
      'claim.wgslim',
      Buffer.from('\x40\0\0\0\0\0\0\0{"__metadata__":{"wgslim.version":"99"}}'.padEnd(72), 'latin1'),
    );
    await refused(['eval', path, '--data', fixture.data], 'claim.wgslim', 'version');
  });
  it('with an operator that cannot be run, by node and name', async () => {
    const graph = sketchGraph({ inputs: { x: ['N', 1, 8, 8] }, outputs: ['y'], nodes: [['Det', ['x'], ['y']]] });
    const path = await file('det.onnx', exportOnnx(graph));
    await refused(['eval', path, '--data', fixture.data], 'det.onnx', 'Det_0', 'Det');
  });
  it('whose input is another shape than --input-shape', () =>
    refused(['inspect', fixture.model, '--input-shape', '1x3x8x8'], '--input-shape', 'tiny.onnx'));
});

describe('data', () => {
  const evaluating = (...more: string[]) => ['eval', fixture.model, '--data', fixture.data, ...more];

  it('that are an empty folder', async () => {
    const path = join(fixture.folder, 'hollow');
    await mkdir(path, { recursive: true });
    await refused(['eval', fixture.model, '--data', path], 'hollow', 'no data set');
  });
  it('that are not there', () => refused(['eval', fixture.model, '--data', 'nowhere'], 'nowhere', 'does not exist'));
  it('of another size than the input', () => refused(evaluating('--crop', '5'), fixture.data, '1×8×8', '1×5×5'));
  it('with more classes than the model', async () => {
    const path = await file('labels.txt', '');
    const labels = join(fixture.data, 't10k-labels-idx1-ubyte');
    const good = await readFile(labels);
    const bad = Buffer.from(good);
    bad[8 + 5] = 7;
    await writeFile(labels, bad);
    try {
      await refused(evaluating(), fixture.data, 'labels up to 7', '3 outputs');
    } finally {
      await writeFile(labels, good);
      await rm(path);
    }
  });
  it.each([
    [['--limit', 'x'], ['--limit']],
    [
      ['--split', 'dev'],
      ['--split', 'dev'],
    ],
    [['--mean', 'a'], ['--mean']],
    [
      ['--mean', '1,2,3'],
      ['mean', '1 channel'],
    ],
    [['--std', '0'], ['std']],
    [['--resize', '0'], ['resize']],
    [['--preprocess', 'none.json'], ['none.json']],
  ])('with %j', (flags, words) => refused(evaluating(...flags), ...words));
});

describe('recipes and outputs of compress', () => {
  const compressing = (recipePath: string, ...more: string[]) => [
    'compress',
    fixture.model,
    '--data',
    fixture.data,
    '--recipe',
    recipePath,
    '-o',
    join(fixture.folder, 'out.wgslim'),
    ...more,
  ];

  it('no JSON', async () => refused(compressing(await file('r1.json', '{')), 'r1.json', 'JSON'));
  it('an unknown stage', async () => {
    const text = JSON.stringify({ stages: [{ kind: 'magic' }] });
    await refused(compressing(await file('r2.json', text)), 'r2.json', 'stages.0.kind');
  });
  it('a field out of range, by its path', async () => {
    const text = JSON.stringify({ stages: [{ kind: 'prune', sparsity: 1.5 }] });
    await refused(compressing(await file('r3.json', text)), 'r3.json', 'stages.0.sparsity');
  });
  it('no stages', async () => refused(compressing(await file('r4.json', '{"stages":[]}')), 'r4.json', 'stages'));
  it('a stage with data that are not there', async () => {
    const text = JSON.stringify({ stages: [{ kind: 'prune', sparsity: 0.5, data: { path: 'nowhere' } }] });
    await refused(compressing(await file('r5.json', text)), 'nowhere', 'does not exist');
  });
  it('an output in a folder that is not there', () =>
    refused(compressing(recipe, '-o', join(fixture.folder, 'none', 'out.wgslim')), '--output', 'none'));
  it('an output that is a folder', () => refused(compressing(recipe, '-o', fixture.data), '--output', fixture.data));
  it('a run folder that is a file', async () => {
    await refused(compressing(recipe, '--run', fixture.model), 'tiny.onnx', 'not a folder');
  });
  it('a run folder with an earlier run', async () => {
    const run = join(fixture.folder, 'earlier');
    await mkdir(run, { recursive: true });
    await writeFile(join(run, 'result.json'), '{}');
    await refused(compressing(recipe, '--run', run), '--run', run, '--resume', '--fresh');
    await refused(compressing(recipe, '--run', run, '--resume', '--fresh'), '--resume', '--fresh');
  });
});

describe('inputs of run', () => {
  const running = (input: string, ...more: string[]) => ['run', fixture.model, '--input', input, ...more];

  it('that are no image', async () => refused(running(await file('x.png', 'no image')), 'x.png', 'JPEG, PNG'));
  it('that are a broken array', async () => refused(running(await file('x.npy', '\x93NUMPY\x01')), 'x.npy'));
  it('of another shape', async () => {
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }".padEnd(117);
    const npy = Buffer.concat([
      Buffer.from('\x93NUMPY\x01\0\x76\0', 'latin1'),
      Buffer.from(`${header}\n`),
      Buffer.alloc(16),
    ]);
    await refused(running(await file('small.npy', npy)), 'small.npy', '2×2');
  });
});
