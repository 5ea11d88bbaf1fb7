/** The command line as a process: exit codes, streams, signals. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fixture, makeFixture, type Outcome } from './fixture.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

let fixture: Fixture;
beforeAll(async () => {
  fixture = await makeFixture();
});
afterAll(() => rm(fixture.folder, { recursive: true }));

/** @param watch sees stderr grow; it may end the process */
function start(args: string[], watch: (stderr: string, child: ChildProcess) => void = () => {}): Promise<Outcome> {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
    watch(stderr, child);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? (signal ? 128 : -1), stdout, stderr }));
  });
}

describe('the process', () => {
  it('exits 2 with one line for bad input', async () => {
    expect(await start(['inspect', 'nowhere.onnx'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'wgslim: nowhere.onnx: does not exist.\n',
    });
  });

  it('prints exactly one JSON document', async () => {
    const { code, stdout } = await start(['eval', fixture.model, '--data', fixture.data, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ images: 30 });
  });

  // Elsewhere adapters do not come from Vulkan drivers alone.
  it.skipIf(process.platform !== 'linux')('exits 1 with advice where there is no adapter', async () => {
    const broken = spawnWithoutAdapter(['info', '--adapter', 'system', '--json']);
    const { code, stdout, stderr } = await broken;
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      adapter: null,
      features: [],
      advice: expect.stringContaining('install'),
    });
    expect(stderr).toContain('install');
  });

  it('stops at Ctrl-C with a checkpoint, and says how to go on', async () => {
    const recipe = join(fixture.folder, 'long.json');
    const training = { epochs: 100000, batch: 30, optimizer: { kind: 'sgd', learningRate: 1e-6 } };
    await writeFile(recipe, JSON.stringify({ stages: [{ kind: 'train', name: 'long', training }] }));
    const out = join(fixture.folder, 'long.wgslim');
    let sent = false;
    const { code, stdout, stderr } = await start(
      ['compress', fixture.model, '--data', fixture.data, '--recipe', recipe, '-o', out],
      (text, child) => {
        if (sent || !text.includes('long: train')) return;
        sent = true;
        child.kill('SIGINT');
      },
    );
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr.trim().split('\n').at(-1)).toMatch(/^wgslim: Stopped; .*--resume.*long\.wgslim\.run/);
    expect(await readdir(`${out}.run`)).toEqual(
      expect.arrayContaining(['checkpoint.safetensors', 'log.jsonl', 'result.json']),
    );
    expect(await readdir(fixture.folder)).not.toContain('long.wgslim');
  });
});

/** As on a machine whose Vulkan loader knows no driver. */
function spawnWithoutAdapter(args: string[]): Promise<Outcome> {
  const names = ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES'] as const;
  const before = names.map((name) => process.env[name]);
  for (const name of names) process.env[name] = join(fixture.folder, 'no-driver.json');
  const running = start(args);
  for (const [i, name] of names.entries()) {
    if (before[i] === undefined) delete process.env[name];
    else process.env[name] = before[i];
  }
  return running;
}
