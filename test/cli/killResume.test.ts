/** A compression that is killed, again and again, and resumed: the same file as if nothing had happened. */
import { spawn } from 'node:child_process';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { random } from '../support/numbers.ts';
import { type Fixture, makeFixture } from './fixture.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

const EPOCHS = 40; // of 3 steps
const training = { epochs: EPOCHS, batch: 30, optimizer: { kind: 'sgd', learningRate: 0.01, weightDecay: 1e-3 } };
const RECIPE = {
  seed: 5,
  stages: [
    { kind: 'prune', name: 'prune', sparsity: 0.7, schedule: { kind: 'cubic', every: 10 }, training },
    {
      kind: 'quantize',
      name: 'quantize',
      weights: { bits: 4 },
      activations: { bits: 8 },
      training: { ...training, optimizer: { kind: 'adam', learningRate: 1e-3 }, distill: {} },
    },
    { kind: 'train', name: 'tune', training },
  ],
};

let fixture: Fixture;
let recipe: string;
beforeAll(async () => {
  fixture = await makeFixture();
  recipe = join(fixture.folder, 'recipe.json');
  await writeFile(recipe, JSON.stringify(RECIPE));
});
afterAll(() => rm(fixture.folder, { recursive: true }));

/** The process itself, not a wrapper of it, so that a kill hits what works. */
function start(out: string, ...more: string[]) {
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', main, 'compress', fixture.model, '--data', fixture.data, '--recipe', recipe],
      ...['-o', out, '--json', '--quiet', '--checkpoint-every', '0.1', ...more],
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    said.stdout += data;
  });
  child.stderr.on('data', (data) => {
    said.stderr += data;
  });
  let ended = false;
  const end = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      ended = true;
      resolve({ code, ...said });
    });
  });
  return { child, end, hasEnded: () => ended };
}

/** Milliseconds since the epoch when the run's newest checkpoint was written. */
const checkpointTime = (out: string) =>
  stat(join(`${out}.run`, 'checkpoint.safetensors')).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );

async function filesOf(out: string): Promise<Record<string, string>> {
  const names = (await readdir(`${out}.run`)).filter((name) => !name.endsWith('.tmp') && name !== 'result.json');
  const entries = await Promise.all(
    names.sort().map(async (name) => [name, (await readFile(join(`${out}.run`, name))).toString('base64')] as const),
  );
  return Object.fromEntries(entries);
}

it('killed at five random moments and resumed, compress ends with the bytes of an unbroken run', async () => {
  const whole = join(fixture.folder, 'whole.wgslim');
  const unbroken = start(whole);
  while (!unbroken.hasEnded() && (await checkpointTime(whole)) === 0) await sleep(10);
  const began = performance.now();
  const result = await unbroken.end;
  expect(result, result.stderr).toMatchObject({ code: 0 });
  const trainingTime = performance.now() - began;

  const next = random(20240607);
  const broken = join(fixture.folder, 'broken.wgslim');
  const moments: string[] = [];
  for (let kill = 0; kill < 5; kill++) {
    const spawned = Date.now();
    const run = start(broken, ...(kill > 0 ? ['--resume'] : []));
    // Once while the process starts or restores; else while it trains, measures or writes its files.
    if (kill === 2) await sleep(next(200, 1500));
    else {
      while (!run.hasEnded() && (await checkpointTime(broken)) <= spawned) await sleep(10);
      await sleep(next(0, trainingTime / 6));
    }
    expect(run.hasEnded(), `run ${kill} ended before its kill`).toBe(false);
    run.child.kill('SIGKILL');
    expect((await run.end).code).toBeNull();
    const log = await readFile(join(`${broken}.run`, 'log.jsonl'), 'utf8').catch(() => '');
    moments.push(`${log.split('\n').length - 1} steps`);
    expect(await readdir(fixture.folder)).not.toContain('broken.wgslim');
  }
  const resumed = await start(broken, '--resume').end;
  expect(resumed, resumed.stderr).toMatchObject({ code: 0 });

  expect(await readFile(broken)).toEqual(await readFile(whole));
  expect(await filesOf(broken), `killed after ${moments}`).toEqual(await filesOf(whole));
  const steps = (await readFile(join(`${broken}.run`, 'log.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { stage: number; step: number })
    .map(({ stage, step }) => `${stage}:${step}`);
  expect(steps).toEqual(
    [0, 1, 2].flatMap((stage) => Array.from({ length: 3 * EPOCHS }, (_, step) => `${stage}:${step}`)),
  );
  const document = (text: string) =>
    JSON.parse(text, (key, value) => (key === 'seconds' || key === 'out' ? undefined : value));
  expect(document(resumed.stdout)).toEqual(document(result.stdout));
}, 240_000);
