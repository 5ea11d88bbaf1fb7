import { describe, expect, it } from 'vitest';
import { InferenceModel } from '../../../src/engine/inference.ts';
import { leastDotsTerms } from '../../../src/kernels/productVariant.ts';
import { testGpu } from '../../support/gpu.ts';
import { checkGradients } from '../../support/gradient.ts';
import { NetworkBuilder } from '../../support/networks.ts';

describe('MatMul agrees with its definition and with central differences', () => {
  it.each([
    ['matrices', [5, 7], [7, 6]],
    ['a batch', [3, 4, 5], [3, 5, 2]],
    ['a weight for a batch', [2, 3, 4, 5], [5, 6]],
    ['a matrix for a batch on the right', [4, 5], [3, 5, 2]],
    ['batches that broadcast', [2, 1, 3, 4], [3, 4, 2]],
    ['batches that broadcast both ways', [1, 3, 2, 2], [2, 1, 2, 3]],
    ['batches that alternate', [2, 1, 2, 2, 3], [1, 3, 2, 3, 2]],
    ['a vector on the left', [4], [2, 4, 3]],
    ['a vector on the right', [2, 3, 4], [4]],
    ['vectors', [6], [6]],
    ['one row', [1, 40], [40, 3]],
    ['a vector of many terms on the right', [2, 3, 1024], [1024]],
    ['few columns of many terms for a batch', [2, 5, 1025], [2, 1025, 3]],
  ])('%s', async (_, a, b) => {
    await checkGradients({ op: 'MatMul', inputs: [{ shape: a }, { shape: b }] });
  });
});

it('goes along the terms where columns are few', async () => {
  const gpu = await testGpu();
  const programs = async (columns: number) => {
    const network = new NetworkBuilder('product', [5, 1024]);
    network.node('MatMul', [network.last, network.parameter([1024, columns], -1, 1)]);
    const model = await InferenceModel.compile(gpu, network.finish(), { batch: 2 });
    const names = model.plan.dispatches.map(({ source }) => source.name);
    model.dispose();
    return names.join();
  };
  expect(/dots/.test(await programs(2))).toBe(Number.isFinite(leastDotsTerms(gpu.capabilities, { m: 2, n: 2 })));
  expect(await programs(8)).not.toMatch(/dots/);
});

it('computes many small matrices together', async () => {
  const gpu = await testGpu();
  const programs = async (size: number) => {
    const network = new NetworkBuilder('products', [40, size, size]);
    network.node('MatMul', [network.last, network.parameter([40, size, size], -1, 1)]);
    const model = await InferenceModel.compile(gpu, network.finish(), { batch: 40 });
    const names = model.plan.dispatches.map(({ source }) => source.name);
    model.dispose();
    return names.join();
  };
  expect(await programs(6)).toMatch(/small/);
  expect(await programs(32)).not.toMatch(/small/);
});
