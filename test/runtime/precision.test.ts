import { afterAll, describe, expect, it } from 'vitest';
import { InferenceModel } from '../../src/engine/inference.ts';
import type { Precision } from '../../src/gpu/capabilities.ts';
import { testGpu } from '../support/gpu.ts';
import { NetworkBuilder } from '../support/networks.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';

const gpu = await testGpu();
const { kind, f16 } = gpu.capabilities;
afterAll(() => {
  gpu.capabilities.kind = kind;
});

const BATCH = 3;
const network = new NetworkBuilder('small', [1, 3, 9, 9]).conv(3, 13, 3, { pads: [1, 1, 1, 1] }, true).node('Relu');
network.node('GlobalAveragePool').node('Flatten');
network.node('Gemm', [network.last, network.parameter([13, 10], -1, 1), network.parameter([10], -1, 1)]);
const graph = network.finish();
const x = randomFloats(7, BATCH * 3 * 81);

async function outputs(precision: Precision | undefined) {
  const model = await InferenceModel.compile(gpu, graph, { batch: BATCH, precision });
  const result = [...(await model.run(new Map([['x', x]]))).values()][0]!;
  const tiles = model.plan.dispatches.filter(({ source }) => source.code.includes('vec4h')).length;
  model.dispose();
  return { result, tiles };
}

describe('a plan in half precision', () => {
  it.skipIf(!f16)('multiplies in half on a GPU that has it, and only where it was asked for', async () => {
    gpu.capabilities.kind = 'gpu';
    const [plain, half] = [await outputs(undefined), await outputs('f16')];
    expect([plain.tiles, half.tiles]).toEqual([0, 2]);
    expect(half.result).not.toEqual(plain.result);
    expect(relativeError(half.result, plain.result)).toBeLessThan(2e-3);
  });

  it('is the plan in float32 on a processor', async () => {
    gpu.capabilities.kind = 'cpu';
    const [plain, half] = [await outputs('f32'), await outputs('f16')];
    expect(half.tiles).toBe(0);
    expect(half.result).toEqual(plain.result);
  });
});
