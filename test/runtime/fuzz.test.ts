/** Broken files through the whole of `load` and a run: they work or are refused, and leave nothing on the GPU. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { WeightEncoding } from '../../src/format/encodedTensor.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { GpuError } from '../../src/gpu/errors.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import { deviceSource } from '../../src/runtime/devices.ts';
import { InputError, load } from '../../src/web.ts';
import { SIDE, tinyGraph } from '../cli/fixture.ts';
import { randomSource } from '../format/models.ts';
import { mutateJson } from '../format/mutate.ts';
import { assemble, split, withGraph, withHeader } from '../format/tamper.ts';
import { testGpu } from '../support/gpu.ts';

/** The test's network with its weights in several encodings. */
function smallFile(): Uint8Array {
  const graph = tinyGraph();
  const initializers = new Map(graph.initializers);
  const grid = (name: string, bits: number): WeightEncoding => {
    const { shape, data } = initializers.get(name)!;
    const high = 2 ** (bits - 1) - 1;
    const scale = Math.fround(Math.max(...(data as Float32Array).map(Math.abs)) / high);
    const codes = (data as Float32Array).map((value) => Math.fround(scale * Math.round(value / scale)));
    initializers.set(name, floatTensor(shape, codes));
    return { kind: 'int', bits, scale: Float32Array.of(scale) };
  };
  const encodings = new Map<string, WeightEncoding>([
    ['conv.weight', grid('conv.weight', 4)],
    ['dense.weight', grid('dense.weight', 3)],
    ['dense.bias', { kind: 'f32' }],
  ]);
  return encodeModel({ ...graph, initializers }, encodings, { preprocess: { mean: 0.5 } });
}

let gpu: Gpu;
beforeAll(async () => {
  gpu = await deviceSource((await testGpu()).device).acquire();
});

async function attempt(file: Uint8Array): Promise<'ran' | 'refused'> {
  const { bytes, buffers } = gpu.buffers.statistics;
  const x = Float32Array.from({ length: SIDE * SIDE }, (_, i) => Math.sin(i));
  const started = performance.now();
  try {
    const model = await load(file, { device: gpu.device });
    try {
      await model.run({ [model.inputs[0]?.name ?? '']: x });
      return 'ran';
    } finally {
      model.dispose();
    }
  } catch (error) {
    if (!(error instanceof InputError || error instanceof GpuError)) throw error;
    expect(error.message).toMatch(/^[^\n]{5,600}$/);
    return 'refused';
  } finally {
    expect(performance.now() - started).toBeLessThan(20_000);
    // Buffers for reading back stay in their pool; a few of them, and small.
    expect(gpu.buffers.statistics.buffers - buffers).toBeLessThanOrEqual(4);
    expect(gpu.buffers.statistics.bytes - bytes).toBeLessThan(2 ** 22);
  }
}

describe('load of broken files', () => {
  const file = smallFile();

  it('runs the file as it is', async () => {
    expect(await attempt(file)).toBe('ran');
  });

  it('refuses every flipped bit', async () => {
    const random = randomSource(1);
    for (let i = 0; i < 60; i++) {
      const broken = file.slice();
      broken[Math.floor(random() * broken.length)]! ^= 1 << Math.floor(random() * 8);
      expect(await attempt(broken)).toBe('refused');
    }
  });

  it('runs or refuses random payloads under a valid checksum', async () => {
    const random = randomSource(2);
    for (let i = 0; i < 40; i++) {
      const { header, payload } = split(file);
      for (let n = 0; n < 3; n++) payload[Math.floor(random() * payload.length)] = Math.floor(random() * 256);
      await attempt(assemble(header, payload));
    }
  });

  it('runs or refuses hostile graphs under a valid checksum', async () => {
    const random = randomSource(3);
    const outcomes = { ran: 0, refused: 0 };
    for (let i = 0; i < 150; i++) {
      const broken = withGraph(file, (graph) => {
        for (let n = 1 + Math.floor(random() * 2); n > 0; n--) mutateJson(graph, random);
      });
      outcomes[await attempt(broken)]++;
    }
    expect(outcomes.ran).toBeGreaterThan(5);
    expect(outcomes.refused).toBeGreaterThan(50);
  });

  it('runs or refuses hostile headers and meta', async () => {
    const random = randomSource(4);
    for (let i = 0; i < 60; i++) {
      await attempt(withHeader(file, (header) => mutateJson(header, random)));
    }
    const image = { data: new Uint8ClampedArray(4 * SIDE * SIDE), width: SIDE, height: SIDE };
    const PREPROCESS = [7, 'x', [], { mean: 'x' }, { std: 0 }, { scale: null }, { crop: -1 }, { resize: 'x' }];
    for (const preprocess of [...PREPROCESS, { channels: 'bgr' }, { crop: 8193 }, { mean: [1, 2] }]) {
      const broken = withHeader(file, ({ __metadata__ }) => {
        __metadata__['wgslim.meta'] = JSON.stringify({ preprocess });
      });
      const model = await load(broken, { device: gpu.device });
      await expect(model.run(image), JSON.stringify(preprocess)).rejects.toThrow(InputError);
      model.dispose();
    }
  });
});
