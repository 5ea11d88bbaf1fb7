import { describe, expect, it } from 'vitest';
import { InferenceModel } from '../../../src/engine/inference.ts';
import { leastDotsTerms } from '../../../src/kernels/productVariant.ts';
import { testGpu } from '../../support/gpu.ts';
import { checkGradients } from '../../support/gradient.ts';
import { NetworkBuilder } from '../../support/networks.ts';

describe('Gemm agrees with its definition and with central differences', () => {
  it.each([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ])('transA %i, transB %i', async (transA, transB) => {
    await checkGradients({
      op: 'Gemm',
      attributes: { transA, transB, alpha: 0.5, beta: 1.5 },
      inputs: [{ shape: transA ? [7, 5] : [5, 7] }, { shape: transB ? [9, 7] : [7, 9] }, { shape: [9] }],
    });
  });

  it.each([[[]], [[1]], [[6]], [[1, 6]], [[4, 1]], [[4, 6]], [[1, 1]]])('C of shape [%s]', async (shape) => {
    await checkGradients({ op: 'Gemm', inputs: [{ shape: [4, 3] }, { shape: [3, 6] }, { shape }] });
  });

  it('does without C', async () => {
    await checkGradients({ op: 'Gemm', attributes: { transB: 1 }, inputs: [{ shape: [1, 33] }, { shape: [10, 33] }] });
  });

  it('goes along the terms for few rows or columns', async () => {
    const attributes = { transB: 1 };
    const inputs = (m: number, n: number) => [{ shape: [m, 1024] }, { shape: [n, 1024] }, { shape: [n] }];
    await checkGradients({ op: 'Gemm', attributes, inputs: inputs(1, 6) });
    await checkGradients({ op: 'Gemm', attributes, inputs: inputs(6, 1) });
  });

  it('splits a long sum', async () => {
    await checkGradients({
      op: 'Gemm',
      attributes: { transB: 1, alpha: 0.25 },
      inputs: [{ shape: [1, 600] }, { shape: [2, 600] }, { shape: [2] }],
    });
  });
});

it('fetches the kernels of few rows, and of few terms, for layers that take them', async () => {
  const gpu = await testGpu();
  const programs = async (batch: number, terms: number, outputs = 20) => {
    const network = new NetworkBuilder('dense', [1, terms]);
    network.node('Gemm', [network.last, network.parameter([outputs, terms], -1, 1)], { transB: 1 });
    const model = await InferenceModel.compile(gpu, network.finish(), { batch });
    const names = model.plan.dispatches.map(({ source }) => source.name);
    model.dispose();
    return names.join();
  };
  // SwiftShader's subgroups of four are not worth the module.
  const takes = Number.isFinite(leastDotsTerms(gpu.capabilities, { m: 1, n: 20 }));
  expect(/dots/.test(await programs(1, 1024))).toBe(takes);
  expect(await programs(1, 84)).not.toMatch(/dots/);
  expect(await programs(1, 1024, 3)).toMatch(/dots/);
  expect(await programs(8, 1024)).not.toMatch(/dots/);
  expect(/shallow/.test(await programs(256, 12, 64))).toBe(gpu.capabilities.kind === 'cpu');
  expect(await programs(256, 65, 64)).not.toMatch(/shallow/);
});
