/** `load` with choices that were measured: they shape that model's plans, and no other's on the device. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { deployToBytes } from '../../src/compress/deploy.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';
import { adapterKey, type TuningStore } from '../../src/kernels/tune/store.ts';
import { storedChoices } from '../../src/kernels/tune/storedChoices.ts';
import { subjectOf } from '../../src/kernels/tune/subjects.ts';
import { ChoiceListener } from '../../src/kernels/tune/tune.ts';
import { fileTuning, nodeAdapterKey } from '../../src/kernels/tunedCache.node.ts';
import { deviceSource } from '../../src/runtime/devices.ts';
import { load } from '../../src/web.ts';
import { SIDE, tinyGraph } from '../cli/fixture.ts';
import { testGpu } from '../support/gpu.ts';

const file = deployToBytes(tinyGraph(), 'float32', {});
const pixels = (batch: number) => Float32Array.from({ length: batch * SIDE * SIDE }, (_, i) => Math.sin(i));
const BATCH = 24;

const opened: GPUDevice[] = [];
afterEach(() => {
  for (const device of opened.splice(0)) device.destroy();
});

/** A device with no pipelines yet, as the runtime sees it. */
async function fresh(): Promise<Gpu> {
  const { device } = (await openGpu({ keepPriority: true })).gpu;
  opened.push(device);
  return deviceSource(device).acquire();
}

/** What the network asks for, and a table with a variant of each that is not the rule's. */
async function otherVariants(gpu: Gpu): Promise<Map<string, string>> {
  const listener = new ChoiceListener();
  const model = await load(file, { device: gpu.device, batch: BATCH, tuned: () => listener });
  model.dispose();
  expect(listener.asked.size).toBeGreaterThan(0);
  const table = new Map<string, string>();
  for (const key of listener.asked.keys()) {
    const [rule, ...others] = subjectOf(key, gpu.capabilities)?.candidates ?? [];
    const other = others.at(-1);
    if (other !== undefined && other !== rule) table.set(key, other);
  }
  expect(table.size).toBeGreaterThan(0);
  return table;
}

const storeOf = (tables: ReadonlyMap<string, Map<string, string>>): TuningStore => ({
  read: async (adapter) => tables.get(adapter),
  write: async () => {},
});

describe('load with choices that were measured', () => {
  it('takes them for its own plans alone, and gives the same answers', async () => {
    const gpu = await fresh();
    const table = await otherVariants(await fresh());
    const { device } = gpu;
    const plain = await load(file, { device, batch: BATCH });
    const byRule = gpu.pipelines.size;
    const tuned = await load(file, {
      device,
      batch: BATCH,
      tuned: storedChoices(storeOf(new Map([[adapterKey(gpu.capabilities), table]]))),
    });
    const withTable = gpu.pipelines.size;
    expect(withTable).toBeGreaterThan(byRule);
    // Neither the device nor another model on it takes them.
    expect(gpu.capabilities.tuned).toBeUndefined();
    const again = await load(file, { device, batch: BATCH });
    expect(gpu.pipelines.size).toBe(withTable);
    const x = pixels(BATCH);
    const expected = (await plain.run(x)).logits!;
    const actual = (await tuned.run(x)).logits!;
    expect(actual).toHaveLength(expected.length);
    for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
    for (const model of [plain, tuned, again]) model.dispose();
  });

  it('leaves all to the rules where there is no table for the adapter, or none that can be read', async () => {
    const gpu = await fresh();
    const { device } = gpu;
    const table = await otherVariants(await fresh());
    const plain = await load(file, { device, batch: BATCH });
    const byRule = gpu.pipelines.size;
    const otherDriver = adapterKey({ ...gpu.capabilities, driver: 'another' });
    const broken = { read: async () => Promise.reject(new Error('no storage here')) };
    const sources = [storedChoices(storeOf(new Map([[otherDriver, table]]))), storedChoices(broken), () => undefined];
    for (const tuned of sources) {
      const model = await load(file, { device, batch: BATCH, tuned });
      expect(gpu.pipelines.size).toBe(byRule);
      model.dispose();
    }
    plain.dispose();
  });

  it('takes what the command line keeps for the adapter', async () => {
    const gpu = await fresh();
    const table = await otherVariants(await fresh());
    const { device } = gpu;
    (await load(file, { device, batch: BATCH })).dispose();
    const byRule = gpu.pipelines.size;
    const [folder, cache] = [await mkdtemp(join(tmpdir(), 'wgslim-tuned-')), process.env.XDG_CACHE_HOME];
    process.env.XDG_CACHE_HOME = folder;
    try {
      await fileTuning.write(nodeAdapterKey((await testGpu()).capabilities), table);
      const tuned = storedChoices(fileTuning, nodeAdapterKey);
      (await load(file, { device, batch: BATCH, tuned })).dispose();
      expect(gpu.pipelines.size).toBeGreaterThan(byRule);
    } finally {
      if (cache === undefined) delete process.env.XDG_CACHE_HOME;
      else process.env.XDG_CACHE_HOME = cache;
      await rm(folder, { recursive: true });
    }
  });

  it('asks again for a new device', async () => {
    const devices: GPUDevice[] = [];
    const asked = vi.fn(() => undefined);
    const device = async () => {
      devices.push((await fresh()).device);
      return devices.at(-1)!;
    };
    const model = await load(file, { device, tuned: asked });
    const before = (await model.run(pixels(1))).logits;
    devices[0]!.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await model.run(pixels(1))).logits).toEqual(before);
    expect(devices).toHaveLength(2);
    expect(asked).toHaveBeenCalledTimes(2);
    model.dispose();
  });

  it('fails as its source fails, and leaves nothing on the GPU', async () => {
    const gpu = await fresh();
    const before = gpu.buffers.statistics;
    let isOpen = true;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(file),
      cancel: () => {
        isOpen = false;
      },
    });
    const failing = async () => Promise.reject(new Error('the table is gone'));
    await expect(load(stream, { device: gpu.device, tuned: failing })).rejects.toThrow('the table is gone');
    expect(isOpen).toBe(false);
    expect(gpu.buffers.statistics).toMatchObject({ bytes: before.bytes, buffers: before.buffers });
  });
});
