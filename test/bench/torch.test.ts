import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Contender } from '../../bench/contender.ts';
import { randomFloats } from '../../bench/data.ts';
import { compare, resultOf } from '../../bench/measure.ts';
import { openTorch, type Torch, torchInference, torchKernel, torchTraining } from '../../bench/peers/torch.ts';
import { NotInstalledError, type TorchProcessOptions } from '../../bench/peers/torchProcess.ts';
import { type Case, runSuite } from '../../bench/suite.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';

const hasPython = spawnSync('python3', ['--version']).status === 0;
const hasTorch = hasPython && spawnSync('python3', ['-c', 'import torch, numpy']).status === 0;

const HELLO = { ok: true, version: '0', device: 'cpu', name: 'threads: 1' };

/** Speaks as torch_peer.py does, and answers as a test wants; every result is the given numbers. */
const script = (result: number[], onSample: string) => `
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
const say = (answer) => console.log(JSON.stringify(answer));
say(${JSON.stringify(HELLO)});
createInterface({ input: process.stdin }).on('line', (line) => {
  const { do: task, file } = JSON.parse(line);
  if (task === 'result') writeFileSync(file, new Uint8Array(Float32Array.of(${result.join()}).buffer));
  if (task !== 'sample') return say({ ok: true });
  ${onSample}
});
`;

describe('PyTorch as a contender', () => {
  let folder: string;
  const opened: Torch[] = [];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'wgslim-test-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(() => {
    for (const torch of opened.splice(0)) torch.peer.stop();
  });

  async function open(options: TorchProcessOptions): Promise<Torch> {
    const torch = await openTorch(options);
    opened.push(torch);
    return torch;
  }

  function openFake(text: string, options: TorchProcessOptions = {}): Promise<Torch> {
    const file = join(folder, 'fake.mjs');
    writeFileSync(file, text);
    return open({ command: process.execPath, script: file, ...options });
  }

  const ours: Contender = { name: 'wgslim', run: async () => Float32Array.of(1, 2) };
  const options = { rounds: 3, seconds: 1 };
  const product = (torch: Torch) =>
    torchKernel(torch, 'MatMul', [
      { shape: [1, 1], data: Float32Array.of(1) },
      { shape: [1, 2], data: Float32Array.of(1, 2) },
    ]);

  it('times a result that agrees where it is computed', async () => {
    const torch = await openFake(script([1, 2], 'say({ ok: true, milliseconds: 4 });'));
    const result = await compare(ours, product(torch), await resultOf(ours), options);
    expect(result).toMatchObject({ peer: 'PyTorch', agrees: true, rounds: 3, theirs: { median: 4 } });
  });

  it('does not time a result that differs', async () => {
    const torch = await openFake(script([1, 2.1], 'say({ ok: true, milliseconds: 4 });'));
    const result = await compare(ours, product(torch), await resultOf(ours), options);
    expect(result).toMatchObject({ agrees: false, rounds: 0 });
  });

  it('is not installed where there is no Python', async () => {
    await expect(open({ command: join(folder, 'python3') })).rejects.toThrow(NotInstalledError);
  });

  it.skipIf(!hasPython)('is not installed where Python has no PyTorch', async () => {
    const modules = mkdtempSync(join(folder, 'modules-'));
    writeFileSync(join(modules, 'torch.py'), 'raise ModuleNotFoundError("No module named torch", name="torch")\n');
    const before = process.env.PYTHONPATH;
    process.env.PYTHONPATH = modules;
    try {
      await expect(open({})).rejects.toThrow(NotInstalledError);
    } finally {
      if (before === undefined) delete process.env.PYTHONPATH;
      else process.env.PYTHONPATH = before;
    }
  });

  it('says why what is installed does not start', async () => {
    await expect(openFake('throw new Error("libtorch is broken")')).rejects.toThrow(/process ended \(status 1\)/);
  });

  it.each([
    ['dies', 'process.exit(3);', /process ended \(status 3\)/],
    ['hangs', '', /did not answer for 1 s/],
    ['prints something else', 'console.log("a warning");', /something else than JSON: a warning/],
    ['has no time', 'say({ ok: true });', /without a time/],
    ['cannot', 'say({ ok: false, error: "out of memory" });', /out of memory/],
  ])('tells in one line that it %s', async (_, onSample, message) => {
    const torch = await openFake(script([1, 2], onSample), { answerSeconds: 1 });
    await expect(compare(ours, product(torch), await resultOf(ours), options)).rejects.toThrow(message);
  });

  it('leaves the cases after its end to the others', async () => {
    const torch = await openFake(script([1, 2], 'process.exit(3);'));
    const one = (name: string): Case => ({
      name,
      ours: async () => ours,
      peers: ({ peers }) => [
        ...(peers.torch ? [async () => product(peers.torch as Torch)] : []),
        async () => ({ ...ours, name: 'other' }),
      ],
    });
    const all = { gpu: undefined as never, source: '', peers: { torch }, versions: {}, missing: [] };
    const roof = { f32: 1, bandwidth: 1 };
    const results = await runSuite([one('a'), one('b')], all, { ...options, roof, profile: 'slower' }, () => {});
    expect(results.map(({ failures }) => failures)).toEqual([['PyTorch: its process ended (status 3)'], []]);
    expect(results.map(({ comparisons }) => comparisons.map(({ peer }) => peer))).toEqual([['other'], ['other']]);
  });

  it.skipIf(!hasTorch)('computes what it is told to', async () => {
    const torch = await open({});
    expect([...(await product(torch).run())]).toEqual([1, 2]);
    const x = { shape: [1, 1, 2, 2], data: Float32Array.of(1, 2, 3, 4) };
    const w = { shape: [1, 1, 1, 1], data: Float32Array.of(2) };
    expect([...(await torchKernel(torch, 'Conv', [x, w], { pads: [0, 1, 0, 0] }).run())]).toEqual([0, 2, 4, 0, 6, 8]);
    const kernel = { input_shape: [1, 1, 2, 2], weight_shape: [1, 1, 1, 1] };
    expect([...(await torchKernel(torch, 'ConvGradInput', [x, w], kernel).run())]).toEqual([2, 4, 6, 8]);
    expect([...(await torchKernel(torch, 'ConvGradWeight', [x, x], kernel).run())]).toEqual([30]);
    const unknown = torchKernel(torch, 'Nothing', [x]);
    await expect(unknown.run()).rejects.toThrow('no Nothing here');
  });

  it.skipIf(!hasTorch)('runs and trains a network', async () => {
    const torch = await open({});
    const weights = randomFloats(2 * 3, 1);
    const graph: Graph = {
      name: 'dense',
      inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 3] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['N', 2] }],
      nodes: [{ name: 'y', op: 'Gemm', inputs: ['x', 'w'], outputs: ['y'], attributes: { transB: 1 } }],
      initializers: new Map([['w', floatTensor([2, 3], weights)]]),
    };
    const images = { shape: [1, 3], data: Float32Array.of(1, 2, 3) };
    const logits = [0, 1].map((row) => images.data.reduce((sum, value, i) => sum + value * weights[3 * row + i], 0));
    const inference = torchInference(torch, graph, images);
    const result = await inference.run();
    expect(result[0]).toBeCloseTo(logits[0], 5);
    expect(result[1]).toBeCloseTo(logits[1], 5);
    const training = torchTraining(torch, graph, {
      images,
      labels: [1],
      rate: 0.01,
      momentum: 0.9,
      block: 2,
      checked: 3,
    });
    const losses = await training.run();
    expect(losses[0]).toBeCloseTo(Math.log(1 + Math.exp(logits[0] - logits[1])), 5);
    expect(losses[2]).toBeLessThan(losses[0]);
    expect(await training.sample?.(1)).toBeGreaterThan(0);
  });
});
