/** Importance of weights, pruning by it, and the report of sensitivities. */
import { beforeAll, describe, expect, it } from 'vitest';
import { calibrate } from '../../src/compress/calibrate.ts';
import { MaskPruner } from '../../src/compress/pruner.ts';
import { channelValues, mseScale } from '../../src/compress/scales.ts';
import { measureSensitivity, type SensitivityOptions } from '../../src/compress/sensitivity.ts';
import { withInitializers } from '../../src/compress/state.ts';
import { InputError } from '../../src/graph/errors.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import { quantizerLevels } from '../../src/kernels/fakeQuantize.ts';
import type { Dataset } from '../../src/train/data/dataset.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { takeFirst } from '../../src/train/data/split.ts';
import { evaluate } from '../../src/train/evaluate.ts';
import { TrainingFeed } from '../../src/train/feed.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { tensorflowGradients } from '../support/tensorflow.ts';
import { ADAM, cnn, createTrainer, digits, Net, runSteps, SGD } from '../train/problems.ts';

const preprocess = defaultPreprocess();
const WEIGHTS = ['conv1.weight', 'conv2.weight', 'fc.weight'];
let dataset: Dataset;
beforeAll(async () => {
  dataset = await digits({ count: 96, first: 700 });
});

const dataOf = (graph: Graph, name: string) => graph.initializers.get(name)!.data as Float32Array;

/** Weights with many equal magnitudes, to make ties. */
function coarse(graph: Graph): Graph {
  return withInitializers(
    graph,
    new Map(
      WEIGHTS.map((name) => {
        const { shape, data } = graph.initializers.get(name)!;
        return [
          name,
          floatTensor(
            shape,
            (data as Float32Array).map((w) => Math.round(w * 8) / 8 || 0.0625),
          ),
        ];
      }),
    ),
  );
}

/** Masks after the `count` smallest scores of all (name, score) lists are pruned, of equals the first. */
function expectedMasks(scores: [string, Float32Array][], sparsity: number): Map<string, Uint8Array> {
  const all = scores.flatMap(([name, values]) => Array.from(values, (score, index) => ({ name, score, index })));
  const order = all.map((_, i) => i).sort((a, b) => all[a]!.score - all[b]!.score || a - b);
  const masks = new Map(scores.map(([name, values]) => [name, new Uint8Array(values.length).fill(1)]));
  for (const i of order.slice(0, Math.round(sparsity * all.length))) masks.get(all[i]!.name)![all[i]!.index] = 0;
  return masks;
}

const pruned = (mask: Uint8Array) => mask.reduce((count, kept) => count + (kept ? 0 : 1), 0);

/** A companion of the weights' arena, cut into parameters. */
async function companions(trainer: Trainer, buffer: string): Promise<Map<string, Float32Array>> {
  const data = new Float32Array((await trainer.save()).get(buffer)!.slice().buffer);
  return new Map(
    trainer.store.trained.map(({ name, offset, elements }) => [name, data.subarray(offset, offset + elements)]),
  );
}

describe('MaskPruner', () => {
  it('prunes exactly the smallest magnitudes of all weights, and only more of them', async () => {
    const graph = coarse(cnn(1));
    const trainer = await createTrainer(await testGpu(), graph, dataset);
    const pruner = await MaskPruner.create(trainer, { prunable: WEIGHTS, scope: 'global', importance: 'magnitude' });
    const magnitudes = WEIGHTS.map((name): [string, Float32Array] => [name, dataOf(graph, name).map(Math.abs)]);
    for (const sparsity of [0.25, 0.5, 0.9]) {
      pruner.prune(sparsity);
      const { tensors, masks } = await trainer.download();
      expect(masks).toEqual(expectedMasks(magnitudes, sparsity));
      for (const name of WEIGHTS) {
        const mask = masks.get(name)!;
        expect(tensors.get(name)!.data).toEqual(dataOf(graph, name).map((w, i) => (mask[i] ? w : 0)));
      }
      for (const name of ['conv1.bias', 'norm1.gamma', 'fc.bias'])
        expect(tensors.get(name)!.data).toEqual(dataOf(graph, name));
    }
    // Asked for less, it takes nothing back.
    pruner.prune(0.3);
    expect((await trainer.download()).masks).toEqual(expectedMasks(magnitudes, 0.9));
    pruner.dispose();
    trainer.dispose();
  });

  it('ranks every layer by itself', async () => {
    const graph = coarse(cnn(2));
    const trainer = await createTrainer(await testGpu(), graph, dataset);
    const pruner = await MaskPruner.create(trainer, { prunable: WEIGHTS, scope: 'layer', importance: 'magnitude' });
    pruner.prune(0.7);
    const { masks } = await trainer.download();
    for (const name of WEIGHTS) {
      const expected = expectedMasks([[name, dataOf(graph, name).map(Math.abs)]], 0.7).get(name)!;
      expect(masks.get(name)).toEqual(expected);
      expect(pruned(expected)).toBe(Math.round(0.7 * expected.length));
    }
    pruner.dispose();
    trainer.dispose();
  });

  it('leaves alone what is not to be pruned', async () => {
    const trainer = await createTrainer(await testGpu(), cnn(3), dataset);
    const pruner = await MaskPruner.create(trainer, {
      prunable: ['conv2.weight'],
      scope: 'global',
      importance: 'magnitude',
    });
    pruner.prune(0.999);
    const { masks } = await trainer.download();
    expect([...masks.keys()]).toEqual(['conv2.weight']);
    expect(pruned(masks.get('conv2.weight')!)).toBe(Math.round(0.999 * 288));
    await expect(
      MaskPruner.create(trainer, { prunable: ['nothing'], scope: 'global', importance: 'magnitude' }),
    ).rejects.toThrow('nothing');
    pruner.dispose();
    trainer.dispose();
  });

  it.each([
    ['SGD', SGD, ['momentum']],
    ['Adam', ADAM, ['moment1', 'moment2']],
  ] as const)(
    'clears the moments of what it prunes, and the scores it judged by: %s',
    async (_, optimizer, moments) => {
      const trainer = await createTrainer(await testGpu(), cnn(4), dataset, { optimizer, importance: 'taylor' });
      await runSteps(trainer, new TrainingFeed(dataset, { batch: 32, seed: 1 }), { to: 4, rate: 1e-3 });
      const before = await Promise.all([...moments, 'importance'].map((name) => companions(trainer, name)));
      const pruner = await MaskPruner.create(trainer, { prunable: WEIGHTS, scope: 'global', importance: 'taylor' });
      pruner.prune(0.5);
      const { tensors, masks } = await trainer.download();
      expect(masks).toEqual(
        expectedMasks(
          WEIGHTS.map((name) => [name, before.at(-1)!.get(name)!]),
          0.5,
        ),
      );
      for (const [i, moment] of moments.entries()) {
        const after = await companions(trainer, moment);
        for (const name of WEIGHTS) {
          const mask = masks.get(name)!;
          expect(after.get(name)).toEqual(before[i]!.get(name)!.map((value, at) => (mask[at] ? value : 0)));
          expect(after.get(name)!.some((value) => value !== 0)).toBe(true);
        }
      }
      const scores = await companions(trainer, 'importance');
      expect([...scores.values()].every((values) => values.every((value) => value === 0))).toBe(true);
      // What follows keeps them at zero and judges the rest anew.
      await runSteps(trainer, new TrainingFeed(dataset, { batch: 32, seed: 1 }), { from: 4, to: 8, rate: 1e-3 });
      pruner.prune(0.8);
      const later = await trainer.download();
      for (const name of WEIGHTS) {
        const weights = later.tensors.get(name)!.data as Float32Array;
        const mask = later.masks.get(name)!;
        expect(weights.every((w, at) => (mask[at] ? w !== 0 : w === 0))).toBe(true);
        expect(masks.get(name)!.every((kept, at) => kept || !mask[at])).toBe(true);
        expect(tensors.get(name)!.data).not.toEqual(weights);
      }
      expect(WEIGHTS.reduce((sum, name) => sum + pruned(later.masks.get(name)!), 0)).toBe(Math.round(0.8 * 1044));
      pruner.dispose();
      trainer.dispose();
    },
  );
});

describe('calibrate', () => {
  const batch = 24;

  /** Mean over batches of |w·g| or |g|, with the gradients of TensorFlow.js (evaluation mode: running statistics). */
  async function expected(graph: Graph, kind: 'taylor' | 'gradient', batches: number) {
    const log = {
      name: 'log',
      op: 'LogSoftmax',
      inputs: [graph.outputs[0]!.name],
      outputs: ['log'],
      attributes: { axis: -1 },
    };
    const wanted = [...graph.initializers.keys()].filter((name) => !/mean|variance/.test(name));
    const sums = new Map(wanted.map((name) => [name, new Float64Array(dataOf(graph, name).length)]));
    const feed = new TrainingFeed(dataset, { batch, seed: 3 });
    for (let step = 0; step < batches; step++) {
      const { samples, labels } = await feed.at(step);
      const { gradients } = await tensorflowGradients({
        graph: {
          ...graph,
          inputs: [{ ...graph.inputs[0]!, shape: [batch, 1, 14, 14] }],
          nodes: [...graph.nodes, log],
          outputs: [{ name: 'log', dtype: 'float32' }],
        },
        inputs: { image: Float32Array.from(samples, (pixel) => pixel / 255) },
        training: false,
        labels: [...labels],
        wanted,
      });
      for (const name of wanted) {
        const weights = dataOf(graph, name);
        gradients[name]!.forEach((g, i) => {
          sums.get(name)![i]! += Math.abs(kind === 'taylor' ? weights[i]! * g : g) / batches;
        });
      }
    }
    return sums;
  }

  it.each(['taylor', 'gradient'] as const)('means what TensorFlow.js’s gradients say: %s', async (kind) => {
    const graph = cnn(5);
    const { trainer, batches, samples } = await calibrate(await testGpu(), {
      graph,
      dataset,
      preprocess,
      seed: 3,
      importance: kind,
      samples: 80,
      batch,
    });
    expect([batches, samples]).toEqual([3, 72]);
    const scores = await companions(trainer, 'importance');
    const { tensors } = await trainer.download();
    trainer.dispose();
    for (const [name, sums] of await expected(graph, kind, 3)) {
      const mean = scores.get(name)!.map((value) => value / batches);
      expect(relativeError(mean, sums), name).toBeLessThan(2e-4);
      expect(tensors.get(name)!.data).toEqual(dataOf(graph, name));
    }
  });

  it('takes fewer samples than a batch, and stops when it is told to', async () => {
    const gpu = await testGpu();
    const options = {
      graph: cnn(5),
      dataset,
      preprocess,
      seed: 3,
      importance: 'taylor' as const,
      samples: 5,
      batch: 500,
    };
    const { trainer, batches, samples } = await calibrate(gpu, options);
    expect([batches, samples]).toEqual([1, 96]);
    trainer.dispose();
    const { bytes } = gpu.buffers.statistics;
    const controller = new AbortController();
    const stopped = calibrate(gpu, {
      ...options,
      samples: 96,
      batch: 8,
      signal: controller.signal,
      onProgress: (done) => done >= 16 && controller.abort(new Error('enough')),
    });
    await expect(stopped).rejects.toThrow('enough');
    expect(gpu.buffers.statistics.bytes).toBe(bytes);
  });
});

describe('measureSensitivity', () => {
  /** A convolution, a Gemm and a MatMul, whose output channels lie along different axes. */
  function mixed(): Graph {
    const net = new Net(6, ['N', 1, 14, 14]);
    const conv = net.pool('pool', net.relu('relu1', net.norm('norm', net.conv('conv', 'image', [3, 1, 3, 3]), 3)));
    const hidden = net.relu('relu2', net.dense('fc', net.add('flatten', 'Flatten', [conv], { axis: 1 }), [12, 108]));
    net.constant('product.weight', floatTensor([12, 10], randomFloats(8, 120)));
    return net.graph(net.add('product', 'MatMul', [hidden, 'product.weight']));
  }

  it.each(['taylor', 'gradient', 'magnitude'] as const)(
    'adds importance up by layer and by channel: %s',
    async (kind) => {
      const gpu = await testGpu();
      const graph = mixed();
      const options: SensitivityOptions = { calibration: dataset, preprocess, kind, samples: 64, batch: 32, seed: 2 };
      const report = await measureSensitivity(gpu, graph, options);
      expect(report).toMatchObject({ kind, samples: kind === 'magnitude' ? 0 : 64 });
      const baseline = await evaluate(gpu, graph, takeFirst(dataset, 64), { preprocess });
      expect(report.baseline).toEqual({ loss: baseline.loss, top1: baseline.top1 });
      expect(
        report.layers.map(({ name, weight, elements, channels }) => [name, weight, elements, channels.length]),
      ).toEqual([
        ['conv', 'conv.weight', 27, 3],
        ['fc', 'fc.weight', 1296, 12],
        ['product', 'product.weight', 120, 10],
      ]);
      const { trainer, batches } = await calibrate(gpu, {
        graph,
        dataset,
        preprocess,
        seed: 2,
        importance: kind,
        samples: 64,
        batch: 32,
      });
      const scores = kind === 'magnitude' ? undefined : await companions(trainer, 'importance');
      trainer.dispose();
      for (const { weight, sum, mean, elements, channels, shape, probes } of report.layers) {
        const values = scores?.get(weight)?.map((value) => value / batches) ?? dataOf(graph, weight).map(Math.abs);
        const total = values.reduce((a, b) => a + b, 0);
        expect(Math.abs(sum - total)).toBeLessThan(1e-5 * total);
        expect(mean).toBe(sum / elements);
        expect(Math.abs(channels.reduce((a, b) => a + b, 0) - sum)).toBeLessThan(1e-9 * sum);
        const axis = weight === 'product.weight' ? 1 : 0;
        expect(channels).toHaveLength(shape[axis]!);
        const second = channelValues(values, shape, axis, 1).reduce((a, b) => a + b, 0);
        expect(Math.abs(channels[1]! - second)).toBeLessThan(1e-5 * second);
        expect(probes).toBeUndefined();
      }
    },
  );

  it('probes what compressing each layer alone costs', async () => {
    const gpu = await testGpu();
    const graph = mixed();
    const judged = takeFirst(dataset, 50);
    const seen: [number, number][] = [];
    const report = await measureSensitivity(gpu, graph, {
      calibration: dataset,
      preprocess,
      samples: 32,
      probe: { dataset: judged, sparsity: 0.8, bits: [2, 8] },
      onProgress: (done, total) => seen.push([done, total]),
    });
    const original = await evaluate(gpu, graph, judged, { preprocess });
    expect(report.baseline).toEqual({ loss: original.loss, top1: original.top1 });
    expect(report.layers.map(({ name }) => name)).toEqual(['conv', 'fc', 'product']);
    for (const { weight, shape, probes } of report.layers) {
      const data = dataOf(graph, weight);
      const axis = weight === 'product.weight' ? 1 : 0;
      const threshold = [...data].map(Math.abs).sort((a, b) => a - b)[Math.floor(0.8 * data.length)]!;
      const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
      const rounded = (bits: number) => {
        const range = quantizerLevels(bits, true, true);
        return data.map((w, i) => {
          const channel = Math.floor(i / inner) % shape[axis]!;
          const scale = mseScale(channelValues(data, shape, axis, channel), range);
          return scale * Math.min(Math.max(Math.round(w / scale), range.low), range.high);
        });
      };
      const changes: [string, number, Float32Array][] = [
        ['prune', 0.8, data.map((w) => (Math.abs(w) < threshold ? 0 : w))],
        ['quantize', 2, rounded(2)],
        ['quantize', 8, rounded(8)],
      ];
      expect(probes!.map(({ kind, setting }) => [kind, setting])).toEqual(
        changes.map(([kind, setting]) => [kind, setting]),
      );
      for (const [i, [, , changed]] of changes.entries()) {
        const altered = withInitializers(graph, new Map<string, Tensor>([[weight, floatTensor(shape, changed)]]));
        const { loss, top1 } = await evaluate(gpu, altered, judged, { preprocess });
        expect(probes![i]).toMatchObject({ loss, top1, lossIncrease: loss - original.loss });
      }
    }
    expect(seen.at(-1)).toEqual([seen[0]![1], seen[0]![1]]);
    expect(seen.map(([done]) => done)).toEqual(seen.map(([done]) => done).sort((a, b) => a - b));
  });

  it('refuses a model without weights of its own', async () => {
    const net = new Net(7, ['N', 196]);
    const failed = measureSensitivity(await testGpu(), net.graph(net.relu('relu', 'image')), {
      calibration: dataset,
      preprocess,
    });
    await expect(failed).rejects.toThrow(InputError);
  });
});
