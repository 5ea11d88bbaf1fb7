/** `wgslim profile` on LeNet-5: the contract of its JSON, the trace and the page. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lenet5 } from '../../examples/lenet/lenet5.ts';
import type { DispatchRow, ProfileDocument } from '../../src/cli/profile/document.ts';
import { profilePage } from '../../src/cli/profile/page.ts';
import { describeProfile } from '../../src/cli/profile/text.ts';
import type { Trace } from '../../src/cli/profile/trace.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { wgslim } from './fixture.ts';

const BATCH = 4;

let folder: string;
let model: string;
const cache = process.env.XDG_CACHE_HOME;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgslim-profile-'));
  // Rates of a machine that is busy with tests must not become those of its user; Mesa's shaders stay where they are.
  process.env.MESA_SHADER_CACHE_DIR ??= cache ?? join(homedir(), '.cache');
  process.env.XDG_CACHE_HOME = join(folder, 'cache');
  model = join(folder, '<lenet>.onnx');
  await writeFile(model, exportOnnx(lenet5(1)));
});
afterAll(async () => {
  if (cache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cache;
  await rm(folder, { recursive: true });
});

async function succeed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await wgslim('profile', ...args, '--quiet');
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

async function profiled(...args: string[]): Promise<ProfileDocument> {
  return JSON.parse(await succeed(model, '--batch', String(BATCH), '--repeat', '3', '--json', ...args));
}

const sum = (rows: readonly DispatchRow[], of: (row: DispatchRow) => number | null) =>
  rows.reduce((total, row) => total + (of(row) ?? 0), 0);

/** Multiply-adds of LeNet-5 per image, by hand: two convolutions and three dense layers. */
const MACS = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10;

describe('inference', () => {
  let document: ProfileDocument;
  let trace: Trace;
  let page: string;
  beforeAll(async () => {
    document = await profiled('--trace', join(folder, 'trace.json'), '--html', join(folder, 'page.html'));
    trace = JSON.parse(await readFile(join(folder, 'trace.json'), 'utf8'));
    page = await readFile(join(folder, 'page.html'), 'utf8');
  });

  it('says what was measured, and on what', () => {
    expect(document).toMatchObject({
      model,
      mode: 'inference',
      batch: BATCH,
      adapter: { name: expect.any(String), kind: expect.stringMatching(/^(gpu|cpu)$/), driver: expect.any(String) },
      timing: 'dispatch',
      precision: { precision: 'f32' },
      repeats: 3,
      cpu: { encode: expect.any(Number), submit: expect.any(Number), wait: expect.any(Number) },
    });
    for (const rate of Object.values(document.roof)) expect(rate).toBeGreaterThan(0);
    expect(document.wallMs).toBeGreaterThan(0);
    expect(document.timedWallMs).toBeGreaterThan(0);
    expect(document.overhead).toBeCloseTo(document.timedWallMs! / document.singleWallMs - 1, 9);
  });

  it('counts all multiply-adds, by two, and no other arithmetic', () => {
    expect(sum(document.dispatches, ({ flops }) => flops)).toBe(2 * MACS * BATCH);
    const conv2 = document.dispatches.filter(({ label, flops }) => label.startsWith('conv2') && flops > 0);
    expect(sum(conv2, ({ flops }) => flops)).toBe(2 * 100 * 16 * 150 * BATCH);
  });

  it('adds up: dispatches to kernels, kernels to the GPU time, shares to one', () => {
    expect(document.gpuMs).toBeGreaterThan(0);
    expect(sum(document.dispatches, ({ ms }) => ms)).toBeCloseTo(document.gpuMs!, 9);
    expect(document.gpuShare).toBeGreaterThan(0);
    expect(document.gpuShare).toBeLessThan(1.01);
    expect(document.kernels.reduce((total, { share }) => total + share!, 0)).toBeCloseTo(1, 9);
    for (const { kernel, calls, ms, flops, gflops, bytes, gbps } of document.kernels) {
      const rows = document.dispatches.filter((row) => row.kernel === kernel);
      expect(rows).toHaveLength(calls);
      expect(sum(rows, (row) => row.ms)).toBeCloseTo(ms!, 9);
      expect(gflops! * ms! * 1e6).toBeCloseTo(flops, 3);
      expect(gbps! * ms! * 1e6).toBeCloseTo(bytes, 3);
    }
    const times = document.kernels.map(({ ms }) => ms!);
    expect(times).toEqual([...times].sort((a, b) => b - a));
  });

  it('knows the memory in use: never more than without sharing', () => {
    const { memory, dispatches } = document;
    const peak = Math.max(...dispatches.map(({ liveBytes }) => liveBytes));
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThanOrEqual(memory.planned);
    expect(memory.planned).toBeLessThanOrEqual(memory.unshared);
  });

  it('writes a trace whose tracks hold together', () => {
    const events = trace.traceEvents.filter(({ ph }) => ph === 'X');
    const named = (name: string) =>
      trace.traceEvents.find((event) => event.name === 'thread_name' && event.args?.name === name)!.tid;
    const cpu = events.filter(({ tid }) => tid === named('CPU'));
    const gpu = events.filter(({ tid }) => tid === named('GPU'));
    expect(cpu.map(({ name }) => name)).toEqual(['encode', 'submit', 'wait']);
    expect(gpu.map(({ name }) => name)).toEqual(document.dispatches.map(({ label }) => label));
    for (const track of [cpu, gpu]) {
      track.slice(1).forEach(({ ts }, i) => {
        expect(ts! - (track[i]!.ts! + track[i]!.dur!)).toBeGreaterThanOrEqual(-0.01);
      });
    }
    // The replay in the trace is the one of median total, beside the sum of medians.
    const total = gpu.reduce((time, { dur }) => time + dur! / 1000, 0);
    expect(total / document.gpuMs!).toBeGreaterThan(0.2);
    expect(total / document.gpuMs!).toBeLessThan(5);
    const wait = cpu[2]!.dur! / 1000;
    expect(total).toBeLessThan(cpu.reduce((time, { dur }) => time + dur! / 1000, 0) + wait);
  });

  it('writes a page that needs nothing else and takes no markup from the model', () => {
    expect(page).not.toMatch(/<script|<link|\bsrc=|https?:/);
    expect(page).toContain('&lt;lenet&gt;');
    expect(page).not.toContain('<lenet>');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    expect(page.match(/class="bar"/g)!.length).toBeGreaterThanOrEqual(5);
    expect(page.match(/class="dot"/g)).toHaveLength(document.dispatches.filter(({ flops }) => flops > 0).length);
    expect(page.match(/class="area"/g)).toHaveLength(document.dispatches.length);
    const opened = [...page.matchAll(/<(svg|g|title|text|table|tr|td|th|body|html|head|style)\b/g)].length;
    expect(page.match(/<\/(svg|g|title|text|table|tr|td|th|body|html|head|style)>/g)).toHaveLength(opened);
  });

  it('says what timestamps add, and that a negative overhead is noise', () => {
    const words = (overhead: number) => {
      const changed = { ...document, overhead };
      const text = describeProfile(changed, { layers: false });
      return [/^profiling .*$/m.exec(text)![0], /Timestamps[^<]*/.exec(profilePage(changed))![0]];
    };
    for (const line of words(0.25)) expect(line).toContain('add 25.0 %');
    for (const line of words(-0.699)) {
      expect(line).toContain('add nothing beyond noise');
      expect(line).not.toMatch(/[-−]\d|%/);
    }
  });

  it('prints a table, by kernel or by dispatch', async () => {
    const byKernel = await succeed(model, '--batch', String(BATCH), '--repeat', '2');
    expect(byKernel.split('\n')[0]).toMatch(/^kernel +time +share +calls +GFLOP\/s +GB\/s +of roof$/);
    expect(byKernel).toMatch(/^GPU time .* of the wall time of those runs$/m);
    expect(byKernel).toMatch(/^profiling .*without/m);
    const byLayer = await succeed(model, '--batch', String(BATCH), '--repeat', '2', '--layers');
    expect(byLayer).toMatch(/^conv2: convolution +\d/m);
  });
});

describe('a training step', () => {
  it('goes backward and updates, on generated samples', async () => {
    const document = await profiled('--train');
    expect(document.mode).toBe('training');
    const labels = document.dispatches.map(({ label }) => label);
    expect(labels.some((label) => label.startsWith('conv2 backward'))).toBe(true);
    expect(labels.some((label) => label.startsWith('update'))).toBe(true);
    // Every layer's gradient by its weights costs what the layer costs, and by its input too, but for the first layer.
    const first = 28 * 28 * 6 * 25;
    const backward = sum(document.dispatches, ({ label, flops }) => (/ backward/.test(label) ? flops : 0));
    expect(backward).toBeGreaterThanOrEqual(2 * BATCH * (2 * MACS - first));
    expect(document.gpuMs).toBeGreaterThan(0);
  });
});

describe('what cannot be profiled', () => {
  it.each([
    { args: ['--data', '.'], reason: /--data: is for --train/ },
    { args: ['--repeat', '0'], reason: /--repeat/ },
    { args: ['--trace', ''], reason: /--trace/ },
    { args: ['--batch', '1', '--repeat', '1', '--html', 'nowhere/at/all.html'], reason: /nowhere/ },
  ])('$args: one line, exit code 2', async ({ args, reason }) => {
    const { code, stdout, stderr } = await wgslim('profile', model, ...args, '--quiet');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(reason);
  });

  it('leaves no part of a file behind', async () => {
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
