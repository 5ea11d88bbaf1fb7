import { beforeAll, describe, expect, it } from 'vitest';
import { calibrateActivations } from '../../src/compress/calibrateActivations.ts';
import { deploy, deployToBytes } from '../../src/compress/deploy.ts';
import { type QuantizeSettings, quantizeGraph } from '../../src/compress/quantizeGraph.ts';
import { withInitializers } from '../../src/compress/state.ts';
import { InferenceModel } from '../../src/engine/inference.ts';
import { FAKE_QUANTIZE } from '../../src/engine/quantizer.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import type { WeightEncoding } from '../../src/format/encodedTensor.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { float16ToNumber, numberToFloat16 } from '../../src/kernels/float16.ts';
import type { Dataset } from '../../src/train/data/dataset.ts';
import { defaultPreprocess } from '../../src/train/data/preprocess.ts';
import { TrainingFeed } from '../../src/train/feed.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { runGraph } from '../support/runGraph.ts';
import { ADAM, cnn, createTrainer, digits, Net, runSteps } from '../train/problems.ts';

const BATCH = 100;
let dataset: Dataset;
let images: Float32Array<ArrayBuffer>;
beforeAll(async () => {
  dataset = await digits({ count: BATCH, first: 2000 });
  const raw = new Uint8Array(BATCH * 196);
  await dataset.read(
    Uint32Array.from({ length: BATCH }, (_, i) => i),
    raw,
    new Uint32Array(BATCH),
  );
  images = Float32Array.from(raw, (pixel) => pixel / 255);
});

const settings = (changes: Partial<QuantizeSettings> = {}): QuantizeSettings => ({
  weights: { bits: 4, perChannel: true, initial: 'mse' },
  layers: {},
  skip: [],
  ...changes,
});

/** With a channel whose normalisation turns the sign, and one that it silences. */
function withOddGammas(graph: Graph): Graph {
  return withInitializers(graph, new Map([['norm1.gamma', floatTensor([4], [0.9, -1.2, 0, 0.4])]]));
}

async function logitsOf(graph: Graph): Promise<Float32Array> {
  const model = await InferenceModel.compile(await testGpu(), graph, { batch: BATCH });
  const outputs = await model.run(new Map([['image', images]]));
  model.dispose();
  return [...outputs.values()][0]!;
}

const winners = (logits: Float32Array) =>
  Array.from({ length: BATCH }, (_, i) => {
    const row = logits.subarray(10 * i, 10 * i + 10);
    return row.indexOf(Math.max(...row));
  });

type IntEncoding = Extract<WeightEncoding, { kind: 'int' }>;

/** The integers behind a deployed weight; fails where an element is not scale·integer in float32. */
function codesOf(graph: Graph, name: string, encoding: IntEncoding): number[] {
  const { shape, data } = graph.initializers.get(name)!;
  const inner = shape.slice((encoding.axis ?? 0) + 1).reduce((a, b) => a * b, 1);
  return Array.from(data as Float32Array, (value, i) => {
    const scale = encoding.scale[encoding.axis === undefined ? 0 : Math.floor(i / inner) % shape[encoding.axis]!]!;
    const code = scale === 0 ? 0 : Math.round(value / scale);
    expect(Math.fround(scale * code)).toBe(value);
    return code + 0;
  });
}

describe('deploy', () => {
  it('puts every weight on its grid and folds normalisation into the scales', () => {
    const source = withOddGammas(cnn(1));
    const quantized = quantizeGraph(source, settings()).graph;
    const { graph, encodings } = deploy(quantized, 'float32');
    expect(graph.nodes.map(({ op }) => op)).toEqual([
      'Conv',
      'Relu',
      'MaxPool',
      'Conv',
      'Relu',
      'MaxPool',
      'Flatten',
      'Gemm',
    ]);
    const kinds = [...encodings.values()].map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'int')).toHaveLength(3);
    expect(kinds.filter((kind) => kind === 'f32')).toHaveLength(3); // the biases
    for (const weight of ['conv1.weight', 'conv2.weight', 'fc.weight']) {
      const [name, encoding] = [...encodings].find(([known]) => known.startsWith(weight)) as [string, IntEncoding];
      expect(encoding).toMatchObject({ bits: 4, axis: 0 });
      // The levels as the trained graph has them: round(w/s), at most 7, the sign turned where gamma is negative.
      const node = quantized.nodes.find(({ op, inputs }) => op === FAKE_QUANTIZE && inputs[0] === weight)!;
      const scales = quantized.initializers.get(node.inputs[1]!)!.data as Float32Array;
      const { shape, data } = source.initializers.get(weight)!;
      const perChannel = data.length / shape[0]!;
      const gamma = (channel: number) =>
        weight === 'conv1.weight' ? (source.initializers.get('norm1.gamma')!.data as Float32Array)[channel]! : 1;
      const expected = Array.from(data as Float32Array, (w, i) => {
        const channel = Math.floor(i / perChannel);
        const level = Math.min(Math.max(Math.round(w / scales[channel]!), -7), 7);
        return Math.sign(gamma(channel)) * level + 0;
      });
      expect(codesOf(graph, name, encoding)).toEqual(expected);
      encoding.scale.forEach((scale, channel) => {
        const variance = (source.initializers.get('norm1.variance')!.data as Float32Array)[channel]!;
        const factor = weight === 'conv1.weight' ? Math.abs(gamma(channel)) / Math.sqrt(variance + 1e-5) : 1;
        expect(Math.abs(scale - factor * scales[channel]!)).toBeLessThanOrEqual(1e-6 * scale);
      });
    }
  });

  it.each<[string, Partial<QuantizeSettings>]>([
    ['per channel', {}],
    ['per tensor', { weights: { bits: 5, perChannel: false, initial: 'lsq' } }],
    ['with a layer left in float', { skip: ['conv2'] }],
    ['with the normalised layer left in float', { skip: ['conv1'], layers: { fc: 2 } }],
  ])('computes what the graph in training computes: %s', async (_, changes) => {
    const quantized = quantizeGraph(withOddGammas(cnn(2)), settings(changes)).graph;
    const expected = await logitsOf(quantized);
    expect(relativeError(await logitsOf(deploy(quantized, 'float32').graph), expected)).toBeLessThan(1e-5);
    // Half precision of scales and biases: eleven bits.
    const half = decodeModel(deployToBytes(quantized, 'float16', {}), { fileName: 'half' }).graph;
    expect(relativeError(await logitsOf(half), expected)).toBeLessThan(3e-3);
  });

  it('writes a file whose graph computes the same bits, and agrees with training on what is seen', async () => {
    const gpu = await testGpu();
    const source = withOddGammas(cnn(3));
    const { graph, activations } = quantizeGraph(source, settings({ activations: { bits: 8 } }));
    const preprocess = defaultPreprocess();
    const scales = await calibrateActivations(gpu, {
      graph: source,
      activations,
      dataset,
      preprocess,
      samples: 64,
      seed: 1,
    });
    const start = withInitializers(graph, scales);
    const trainer = await createTrainer(gpu, start, dataset, { batch: 50, optimizer: ADAM });
    await runSteps(trainer, new TrainingFeed(dataset, { batch: 50, seed: 1 }), { to: 40, rate: 3e-3 });
    const trained = withInitializers(graph, (await trainer.download()).tensors);
    trainer.dispose();
    for (const store of ['float16', 'float32'] as const) {
      const { graph: deployed, encodings } = deploy(trained, store);
      const bytes = deployToBytes(trained, store, { recipe: 'test' });
      const decoded = decodeModel(bytes, { fileName: 'test' });
      expect(decoded.meta.recipe).toBe('test');
      const fromFile = await logitsOf(decoded.graph);
      if (store === 'float32') expect(fromFile).toEqual(await logitsOf(deployed));
      for (const [name, encoding] of encodings) {
        if (encoding.kind === 'f16') continue;
        const stored = decoded.graph.initializers.get(name)!.data as Float32Array;
        // A zero may have lost its sign.
        expect(stored.map((value) => value + 0)).toEqual(
          (deployed.initializers.get(name)!.data as Float32Array).map((value) => value + 0),
        );
      }
      const inTraining = winners(await logitsOf(trained));
      expect(winners(fromFile).filter((winner, i) => winner === inTraining[i]).length).toBeGreaterThanOrEqual(
        BATCH - 1,
      );
      expect(new Set(inTraining).size).toBeGreaterThan(3);
    }
    // Scales of activations keep float32 in either.
    const kinds = deploy(trained, 'float16').encodings;
    for (const { scale } of activations) expect(kinds.get(scale)).toEqual({ kind: 'f32' });
  });

  it.each([4, 8])('makes every sum exact where activations have powers of two as steps: %i bits', (bits) => {
    const source = withOddGammas(cnn(4));
    const quantized = quantizeGraph(
      source,
      settings({ weights: { bits, perChannel: true, initial: 'mse' }, activations: { bits: 8, powerOfTwo: true } }),
    );
    const scales = new Map(quantized.activations.map(({ scale }, i) => [scale, floatTensor([1], [0.0123 * (i + 1)])]));
    const trained = withInitializers(quantized.graph, scales);
    const { graph } = decodeModel(deployToBytes(trained, 'float16', {}), { fileName: 'exact' });
    const numbers = (name: string) => graph.initializers.get(name)!.data as Float32Array;
    const layers = graph.nodes.filter(({ op }) => op === 'Conv' || op === 'Gemm');
    expect(layers.length).toBe(3);
    for (const { inputs } of layers) {
      const quantizer = graph.nodes.find(({ outputs }) => outputs[0] === inputs[0])!;
      const [step] = numbers(quantizer.inputs[1]!);
      const trainedStep = (scales.get(quantizer.inputs[1]!)!.data as Float32Array)[0]!;
      expect(step).toBe(2 ** Math.round(Math.log2(trainedStep)));
      expect(quantizer.attributes).not.toHaveProperty('powerOfTwo');
      const weights = numbers(inputs[1]!);
      const bias = numbers(inputs[2]!);
      const perChannel = weights.length / bias.length;
      bias.forEach((value, channel) => {
        const row = weights.subarray(channel * perChannel, (channel + 1) * perChannel);
        const largest = row.reduce((max, w) => Math.max(max, Math.abs(w)), 0);
        if (largest === 0) return;
        // The unit: the largest power of two of which all that is added is a whole number.
        const isWhole = (unit: number) =>
          Number.isInteger(value / unit) && row.every((w) => Number.isInteger((w * step!) / unit));
        let unit = step!;
        while (!isWhole(unit)) unit /= 2;
        // Sums of the largest codes stay below 2^24 units.
        const most = row.reduce((sum, w) => sum + Math.abs(w) * 255 * step!, Math.abs(value)) / unit;
        expect(most).toBeLessThan(2 ** (bits === 4 ? 24 : 28));
      });
    }
  });

  it('rounds as the kernel of the quantizer does', async () => {
    // Ties at a scale that divides exactly, values far out, and a scale that training drove below zero.
    const ties = Float32Array.from({ length: 64 }, (_, i) => (i - 32) * 0.125);
    const rows = [ties, randomFloats(1, 64, -3, 3), randomFloats(2, 64, -1e-3, 1e-3), randomFloats(3, 64)];
    const weight = floatTensor([4, 64], Float32Array.from(rows.flatMap((row) => [...row])));
    const scale = floatTensor([4], [0.25, 0.37, 1e-3, -0.5]);
    const node = {
      name: 'q',
      op: FAKE_QUANTIZE,
      inputs: ['w', 's'],
      outputs: ['wq'],
      attributes: { bits: 4, signed: 1, narrow: 1, axis: 0 },
    };
    const { outputs } = await runGraph(await testGpu(), {
      graph: {
        name: 'kernel',
        inputs: [{ name: 'w', dtype: 'float32', shape: [4, 64] }],
        outputs: [{ name: 'wq', dtype: 'float32' }],
        nodes: [node],
        initializers: new Map([['s', scale]]),
      },
      inputs: { w: weight.data as Float32Array<ArrayBuffer> },
    });
    const net = new Net(1, ['N', 64]);
    net.constant('w', weight);
    net.constant('s', scale);
    const base = net.graph(net.add('fc', 'Gemm', ['image', 'wq'], { transB: 1 }));
    const { graph } = deploy({ ...base, nodes: [node, ...base.nodes] }, 'float32');
    const deployed = graph.initializers.get('w')!.data as Float32Array;
    expect(deployed.map((value) => value + 0)).toEqual(outputs.wq!.map((value) => value + 0));
  });

  it('keeps in float32 what float16 cannot hold', () => {
    const net = new Net(1, ['N', 196]);
    const source = net.graph(net.dense('fc', 'image', [10, 196]));
    source.initializers.set('fc.bias', floatTensor([10], [...new Array(9).fill(0.1), 7e4]));
    const { graph, encodings } = deploy(source, 'float16');
    expect(encodings.get('fc.bias')).toEqual({ kind: 'f32' });
    expect(encodings.get('fc.weight')).toEqual({ kind: 'f16' });
    const { data } = decodeModel(deployToBytes(source, 'float16', {}), { fileName: 'x' }).graph.initializers.get(
      'fc.weight',
    )!;
    const expected = (graph.initializers.get('fc.weight')!.data as Float32Array).map((value) =>
      float16ToNumber(numberToFloat16(value)),
    );
    expect(data).toEqual(expected);
  });

  it('leaves normalisation alone that cannot be folded, with the grid of its convolution', async () => {
    const net = new Net(5, ['N', 1, 14, 14]);
    const conv = net.conv('conv', 'image', [4, 1, 3, 3], { pads: [1, 1, 1, 1] });
    const norm = net.norm('norm', conv, 4);
    const sum = net.relu('relu', net.add('sum', 'Add', [conv, norm])); // the convolution is read twice
    const flat = net.add('flatten', 'Flatten', [net.pool('pool', sum)], { axis: 1 });
    const { graph: quantized } = quantizeGraph(net.graph(net.dense('fc', flat, [10, 196])), settings());
    const { graph, encodings } = deploy(quantized, 'float32');
    expect(graph.nodes.map(({ op }) => op)).toContain('BatchNormalization');
    codesOf(graph, 'conv.weight', encodings.get('conv.weight') as IntEncoding);
    expect(relativeError(await logitsOf(graph), await logitsOf(quantized))).toBeLessThan(1e-6);
  });

  it('folds into grouped convolutions, and stores columns of a product by their own scales', async () => {
    const net = new Net(6, ['N', 1, 14, 14]);
    const first = net.relu('relu', net.conv('conv', 'image', [4, 1, 3, 3]));
    const depthwise = net.norm('norm', net.conv('depthwise', first, [4, 1, 3, 3], { group: 4 }), 4);
    const flat = net.add('flatten', 'Flatten', [net.pool('pool', depthwise)], { axis: 1 });
    net.constant('product.weight', floatTensor([100, 10], randomFloats(7, 1000)));
    const { graph: quantized } = quantizeGraph(
      net.graph(net.add('product', 'MatMul', [flat, 'product.weight'])),
      settings(),
    );
    const { graph, encodings } = deploy(quantized, 'float32');
    const product = encodings.get('product.weight') as IntEncoding;
    expect(product).toMatchObject({ axis: 1, bits: 4 });
    codesOf(graph, 'product.weight', product);
    const [name, encoding] = [...encodings].find(
      ([known]) => known.startsWith('depthwise.weight_folded') && !known.includes('bias'),
    ) as [string, IntEncoding];
    codesOf(graph, name, encoding);
    const file = decodeModel(deployToBytes(quantized, 'float32', {}), { fileName: 'x' }).graph;
    expect(relativeError(await logitsOf(file), await logitsOf(quantized))).toBeLessThan(1e-5);
  });

  it('stores pruned weights sparse: the file shrinks', () => {
    const source = new Net(8, ['N', 196]);
    const graph = source.graph(source.dense('fc', 'image', [64, 196]));
    const dense = deployToBytes(quantizeGraph(graph, settings()).graph, 'float16', {});
    const pruned = withInitializers(
      graph,
      new Map([
        [
          'fc.weight',
          floatTensor(
            [64, 196],
            (graph.initializers.get('fc.weight')!.data as Float32Array).map((w, i) => (i % 10 === 0 ? w : 0)),
          ),
        ],
      ]),
    );
    const sparse = deployToBytes(quantizeGraph(pruned, settings()).graph, 'float16', {});
    expect(sparse.length).toBeLessThan(dense.length - 64 * 196 * 0.2);
  });
});
