import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runSuiteProcess } from '../../bench/all/suiteProcess.ts';
import { renderAbout, renderAll } from '../../bench/all/table.ts';
import type { Comparison } from '../../bench/measure.ts';
import type { Report } from '../../bench/report.ts';

const same = (value: number) => ({ min: value, median: value, max: value });

function comparison(peer: string, ratio: number, agrees = true): Comparison {
  return { peer, error: 0, agrees, rounds: 3, ours: same(2), theirs: same(2 * ratio), ratio: same(ratio) };
}

const about: Report = {
  suite: 'kernels',
  adapter: { name: 'an adapter', driver: 'its driver', kind: 'gpu', source: '' },
  versions: { 'jax-js': '1.0' },
  cores: 2,
  load: [0, 1],
  roof: { f32: 100, bandwidth: 10 },
  cases: [],
};

describe('bench:all', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'wgslim-test-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(text: string, patienceSeconds = 60) {
    const script = join(folder, 'suite.mjs');
    const begins = { kind: 'begins', report: about, total: 2, missing: ['PyTorch: not installed'] };
    const one = { kind: 'case', result: { name: 'first', comparisons: [], failures: [] } };
    writeFileSync(
      script,
      `const send = (message) => new Promise((done) => process.send(message, done));
const about = ${JSON.stringify(about)};
await send(${JSON.stringify(begins)});
await send(${JSON.stringify(one)});
${text}`,
    );
    const progress: [number, number][] = [];
    const onProgress = (done: number, total: number) => progress.push([done, total]);
    return runSuiteProcess({ script, args: [], patienceSeconds, onProgress }).then((outcome) => ({
      ...outcome,
      progress,
    }));
  }

  it('takes the report of a suite that ends, whatever its status', async () => {
    const outcome = await run(`await send({ kind: 'ends', report: { ...about, load: [0, 2] } }); process.exit(1);`);
    expect(outcome.failure).toBeUndefined();
    expect(outcome.report?.load).toEqual([0, 2]);
    expect(outcome.missing).toEqual(['PyTorch: not installed']);
    expect(outcome.progress).toEqual([
      [0, 2],
      [1, 2],
    ]);
  });

  it('keeps what a suite measured before it failed', async () => {
    const outcome = await run(`throw new TypeError('the device is lost');`);
    expect(outcome.failure).toBe('its process ended (status 1): TypeError: the device is lost');
    expect(outcome.report).toMatchObject({ cases: [{ name: 'first' }] });
    const killed = await run(`process.kill(process.pid, 'SIGKILL');`);
    expect(killed.failure).toBe('its process ended (SIGKILL)');
  });

  it('ends a suite that says nothing more', async () => {
    const outcome = await run('setInterval(() => {}, 1000);', 2);
    expect(outcome.failure).toBe('it said nothing for 2 s');
    expect(outcome.report).toMatchObject({ cases: [{ name: 'first' }] });
  });

  it('shows the fastest library whose result agrees, and PyTorch beside it', () => {
    const comparisons = [
      comparison('TensorFlow.js', 3),
      comparison('jax-js', 1.5),
      comparison('onnxruntime-web', 0.5, false),
      comparison('PyTorch', 0.25),
    ];
    const gpu = { milliseconds: 1, operations: 5e7, ofRoof: 0.5 };
    const cases = [{ name: 'product', operations: 5e7, comparisons, failures: [], gpu }];
    const lines = renderAll([{ ...about, cases }]).split('\n');
    expect(lines.slice(2)).toHaveLength(2);
    expect(lines.at(-1)?.trim().split(/ {2,}/)).toEqual([
      'product',
      '2.00',
      '50.0',
      '50 %',
      'jax-js',
      '1.50',
      '0.50',
      '0.25',
    ]);
  });

  it('leaves out what is not known', () => {
    const alone = [{ name: 'alone', comparisons: [], failures: [], alone: same(3) }];
    expect(
      renderAll([{ ...about, cases: alone }])
        .split('\n')
        .at(-1)
        ?.trim()
        .split(/ {2,}/),
    ).toEqual(['alone', '3.00']);
    const differs = [{ name: 'differs', comparisons: [comparison('PyTorch', 1, false)], failures: [] }];
    expect(renderAll([{ ...about, cases: differs }])).toMatch(/differs +differs$/);
    expect(renderAbout([about], ['PyTorch: not installed'])).toContain('\nPyTorch: not installed\n');
  });
});
