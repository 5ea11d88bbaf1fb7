import { describe, expect, it } from 'vitest';
import { floatTensor } from '../../../src/graph/tensor.ts';
import type { Graph } from '../../../src/graph/types.ts';
import { testGpu } from '../../support/gpu.ts';
import { checkGradients } from '../../support/gradient.ts';
import { randomFloats, relativeError } from '../../support/numbers.ts';
import { batchNormReferences } from '../../support/reference/norm.ts';
import { array64 } from '../../support/reference/reference.ts';
import { runGraph } from '../../support/runGraph.ts';

const statistics = (c: number) => ({
  3: floatTensor([c], randomFloats(5, c)),
  4: floatTensor([c], randomFloats(6, c, 0.5, 2)),
});

describe.each([false, true])('BatchNormalization, training: %s', (training) => {
  it.each([[[2, 3, 4, 4]], [[3, 5, 3, 3]], [[1, 2, 5, 7]], [[2, 70, 2, 1]], [[6, 5]], [[3, 2, 9]]])(
    'agrees with central differences on %j',
    async (shape) => {
      const c = shape[1]!;
      await checkGradients({
        op: 'BatchNormalization',
        attributes: { epsilon: 1e-3 },
        inputs: [{ shape }, { shape: [c], initializer: true }, { shape: [c], initializer: true }],
        constants: statistics(c),
        training,
        tolerance: 2e-4,
      });
    },
  );
});

/** One node with statistics as initializers or as inputs. */
function graphOf(shape: number[], { asInputs = false, attributes = {}, outputs = 1 }): Graph {
  const c = shape[1]!;
  const parameters = { scale: 1, shift: 2, mean: 3, variance: 4 };
  const tensors = Object.entries(parameters).map(
    ([name, seed]) => [name, floatTensor([c], randomFloats(seed, c, 0.5, 2))] as const,
  );
  return {
    name: 'bn',
    inputs: [
      { name: 'x', dtype: 'float32', shape },
      ...(asInputs ? tensors.map(([name]) => ({ name, dtype: 'float32' as const, shape: [c] })) : []),
    ],
    outputs: ['y', 'newMean', 'newVariance'].slice(0, outputs).map((name) => ({ name, dtype: 'float32' as const })),
    nodes: [
      {
        name: 'bn',
        op: 'BatchNormalization',
        inputs: ['x', ...Object.keys(parameters)],
        outputs: ['y', 'newMean', 'newVariance'].slice(0, outputs),
        attributes,
      },
    ],
    initializers: new Map(asInputs ? [] : tensors),
  };
}

function expected(graph: Graph, x: Float32Array, shape: number[], training: boolean) {
  const c = shape[1]!;
  const inputs = [array64(shape, x), ...[1, 2, 3, 4].map((seed) => array64([c], randomFloats(seed, c, 0.5, 2)))];
  return batchNormReferences.BatchNormalization!({ attributes: graph.nodes[0]!.attributes, inputs, training });
}

describe('running statistics', () => {
  const shape = [4, 3, 5, 5];
  const x = randomFloats(9, 300);

  it('are put out by a node that was exported in training mode', async () => {
    const graph = graphOf(shape, { asInputs: true, attributes: { training_mode: 1, momentum: 0.7 }, outputs: 3 });
    const parameters = Object.fromEntries(
      ['scale', 'shift', 'mean', 'variance'].map((name, i) => [name, randomFloats(i + 1, 3, 0.5, 2)]),
    );
    const { outputs } = await runGraph(await testGpu(), { graph, inputs: { x, ...parameters } });
    const [y, mean, variance] = expected(graph, x, shape, false);
    expect(relativeError(outputs.y!, y!.data)).toBeLessThan(1e-5);
    expect(relativeError(outputs.newMean!, mean!.data)).toBeLessThan(1e-6);
    expect(relativeError(outputs.newVariance!, variance!.data)).toBeLessThan(1e-6);
  });

  it('take one step per replay in training, in place', async () => {
    const graph = graphOf(shape, { outputs: 3 });
    const { outputs } = await runGraph(await testGpu(), { graph, inputs: { x }, training: true });
    const [, mean, variance] = expected(graph, x, shape, true);
    expect(relativeError(outputs.newMean!, mean!.data)).toBeLessThan(1e-6);
    expect(relativeError(outputs.newVariance!, variance!.data)).toBeLessThan(1e-6);
  });

  it('stay as they are in evaluation', async () => {
    const graph = graphOf(shape, {});
    const { outputs } = await runGraph(await testGpu(), { graph, inputs: { x } });
    expect(relativeError(outputs.y!, expected(graph, x, shape, false)[0]!.data)).toBeLessThan(1e-5);
  });
});

describe('an empty batch', () => {
  it.each([false, true])('gives empty results and zero gradients (training: %s)', async (training) => {
    const graph = graphOf([0, 3, 2, 2], {});
    const result = await runGraph(await testGpu(), {
      graph,
      inputs: { x: new Float32Array() },
      training,
      seeds: { y: new Float32Array() },
      wanted: ['x', 'scale', 'shift'],
    });
    expect(result.outputs.y).toHaveLength(0);
    expect(result.gradients.scale).toEqual(new Float32Array(3));
    expect(result.gradients.shift).toEqual(new Float32Array(3));
  });
});
