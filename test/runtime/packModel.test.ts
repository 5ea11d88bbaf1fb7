import { afterEach, describe, expect, it } from 'vitest';
import { InferenceModel } from '../../src/engine/inference.ts';
import { packableWeights } from '../../src/engine/packing.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import type { WeightEncoding } from '../../src/format/encodedTensor.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { numel } from '../../src/graph/tensor.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import { NORMAL_FLOAT_4 } from '../../src/kernels/normalFloat4.ts';
import { packedParameters, packTensors } from '../../src/runtime/packModel.ts';
import { describePacking, packedBytes } from '../../src/runtime/packWeights.ts';
import { testGpu } from '../support/gpu.ts';
import { NetworkBuilder } from '../support/networks.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';

/** Residual block, shared input, depthwise layer and two dense layers: every way in which a layer reads its weight. */
function network(activationBits?: number): Graph {
  const net = new NetworkBuilder('packed', ['N', 6, 9, 7] as unknown as number[]);
  const quantize = () => {
    if (activationBits === undefined) return;
    const scale = net.parameter([1], 0.01, 0.03, false);
    net.node('wgslim.FakeQuantize', [net.last, scale], { bits: activationBits, signed: 0, narrow: 0, axis: -1 });
  };
  net.node('Relu');
  quantize();
  const trunk = net.last;
  net.conv(6, 16, 1, { strides: [1, 1] });
  const shortcut = net.last;
  net
    .from(trunk)
    .conv(6, 16, 3, { pads: [1, 1, 1, 1] }, true)
    .node('Relu');
  quantize();
  net
    .conv(16, 16, 3, { pads: [1, 1, 1, 1], group: 16 }, true)
    .node('Add', [net.last, shortcut])
    .node('Relu');
  quantize();
  net
    .conv(16, 12, 3, { group: 2, strides: [2, 2] }, true)
    .node('Relu')
    .node('GlobalAveragePool')
    .node('Flatten');
  quantize();
  net.gemm(12, 20).node('Relu');
  quantize();
  return net.node('MatMul', [net.last, net.parameter([20, 5], -1, 1)]).finish();
}

/** Weights of layers as `encode` has them, whatever else as floats. */
function encoded(
  graph: Graph,
  encode: (tensor: Tensor) => { tensor: Tensor; encoding: WeightEncoding },
  others: 'f32' | 'f16' = 'f32',
): Uint8Array {
  const initializers = new Map(graph.initializers);
  const encodings = new Map<string, WeightEncoding>();
  const layers = packableWeights(graph);
  for (const [name, tensor] of graph.initializers) {
    if (tensor.dtype !== 'float32') continue;
    if (!layers.has(name)) {
      encodings.set(name, { kind: tensor.data.length > 1 ? others : 'f32' });
      continue;
    }
    const made = encode(tensor);
    initializers.set(name, made.tensor);
    encodings.set(name, made.encoding);
  }
  return encodeModel({ ...graph, initializers }, encodings, {});
}

/** Rounds a tensor to `bits`, one scale for it; `keep` says which elements are not pruned. */
function onGrid(bits: number, keep: (i: number) => boolean = () => true) {
  return (tensor: Tensor) => {
    const data = tensor.data as Float32Array;
    const step = Math.fround(data.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / (2 ** (bits - 1) - 1));
    const values = data.map((value, i) => (keep(i) ? Math.fround(Math.round(value / step) * step) + 0 : 0));
    const encoding: WeightEncoding = { kind: 'int', bits, scale: Float32Array.of(step) };
    return { tensor: { ...tensor, data: values }, encoding };
  };
}

const models: InferenceModel[] = [];
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

async function compare(file: Uint8Array, batch: number) {
  const gpu = await testGpu();
  const decoded = decodeModel(file, { fileName: 'test' });
  const plain = await InferenceModel.compile(gpu, decoded.graph, { batch });
  const packed = await InferenceModel.compile(gpu, decoded.graph, {
    batch,
    parameters: packedParameters(gpu, decoded),
  });
  models.push(plain, packed);
  const { name, shape } = plain.inputs[0]!;
  const x = new Map([[name, randomFloats(5, numel(shape))]]);
  const [expected] = (await plain.run(x)).values();
  const [actual] = (await packed.run(x)).values();
  const forms = [...packTensors(gpu.capabilities, decoded).values()].map(({ choice }) => choice.form);
  return { error: relativeError(actual!, expected!), forms, expected: expected! };
}

/** NF4 (Dettmers et al. 2023, QLoRA): groups of a row, each scaled by its largest magnitude; else one scale. */
function onTable(groupSize?: number) {
  return (tensor: Tensor) => {
    const data = tensor.data as Float32Array;
    const last = tensor.shape.at(-1)!;
    const group = tensor.shape.length === 2 && groupSize ? groupSize : undefined;
    const perRow = Math.ceil(last / (group ?? last));
    const scaleOf = (i: number) => (group ? Math.floor(i / last) * perRow + Math.floor((i % last) / group) : 0);
    const scale = new Float32Array(group ? (data.length / last) * perRow : 1);
    data.forEach((value, i) => {
      scale[scaleOf(i)] = Math.max(scale[scaleOf(i)]!, Math.abs(value));
    });
    const values = data.map((value, i) => {
      const step = scale[scaleOf(i)]!;
      const nearest = NORMAL_FLOAT_4.reduce((best, level) =>
        Math.abs(step * level - value) < Math.abs(step * best - value) ? level : best,
      );
      return Math.fround(step * nearest);
    });
    const table = NORMAL_FLOAT_4;
    const encoding: WeightEncoding = { kind: 'table', bits: 4, table, scale, ...(group && { groupSize: group }) };
    return { tensor: { ...tensor, data: values }, encoding };
  };
}

describe.each([1, 12])('a compressed file with its weights packed, %i at a time', (batch) => {
  it.each([1, 3, 6])('codes of %i bits', async (bits) => {
    // One bit is 0 and −1.
    const encode = bits === 1 ? halves : onGrid(bits);
    const { error, forms, expected } = await compare(encoded(network(), encode), batch);
    expect(error).toBeLessThan(2e-5);
    expect(new Set(forms)).toEqual(new Set(['dense']));
    expect(forms).toHaveLength(6);
    expect(new Set(expected).size).toBeGreaterThan(1);
  });

  it.each([undefined, 8])('NF4, groups of %s', async (groupSize) => {
    const { error, forms, expected } = await compare(encoded(network(), onTable(groupSize)), batch);
    expect(error).toBeLessThan(2e-5);
    expect(new Set(expected).size).toBeGreaterThan(1);
    // The product whose rows are columns of the file's has its groups across them.
    expect(forms).toEqual(['dense', 'dense', 'dense', 'dense', 'dense', groupSize ? 'float' : 'dense']);
  });

  it('float16', async () => {
    const { error, forms } = await compare(
      encoded(network(), (tensor) => ({ tensor, encoding: { kind: 'f16' } })),
      batch,
    );
    expect(error).toBeLessThan(2e-5);
    expect(new Set(forms)).toEqual(new Set(['dense']));
  });

  it('8-bit weights on 8-bit activations are multiplied as bytes', async () => {
    const { error, forms } = await compare(encoded(network(8), onGrid(8)), batch);
    // A sum on the edge between two codes of the next quantizer may fall to either side.
    expect(error).toBeLessThan(0.02);
    expect(forms).toEqual(await formsOfQuantized());
  });

  it('4-bit weights on 4-bit activations', async () => {
    const { error, forms } = await compare(encoded(network(4), onGrid(4)), batch);
    expect(error).toBeLessThan(0.02);
    expect(forms).toEqual(await formsOfQuantized());
  });
});

/** CPU adapters of four lanes take int8 for the 3×3 convolution of one group alone. */
async function formsOfQuantized(): Promise<string[]> {
  const { kind, subgroupSize } = (await testGpu()).capabilities;
  const isFour = kind === 'cpu' && subgroupSize === 4;
  return [0, 1, 2, 3, 4, 5].map((layer) => (isFour && layer !== 1 ? 'dense' : 'int8'));
}

/** Codes of one bit: 0 and −1. */
function halves(tensor: Tensor) {
  const values = (tensor.data as Float32Array).map((value) => (value < 0 ? -0.25 : 0));
  return {
    tensor: { ...tensor, data: values },
    encoding: { kind: 'int', bits: 1, scale: Float32Array.of(0.25) } as const,
  };
}

const dense = () => new NetworkBuilder('large', [1, 64]).gemm(64, 512).node('Relu').gemm(512, 512).finish();

/** Of 90 %, by a period that fits no row. */
const sparse = (i: number) => (i * 7919) % 1009 < 101;

/** A ResNet-20's shapes: 3×3 convolutions of 16, 32 and 64 channels with residuals, on quantized activations. */
function residualNetwork(bits: number): Graph {
  const net = new NetworkBuilder('residual', [1, 3, 32, 32]);
  const quantize = () => {
    const scale = net.parameter([1], 0.05, 0.06, false);
    return net.node('wgslim.FakeQuantize', [net.last, scale], { bits, signed: 0, narrow: 0, axis: -1 }).last;
  };
  const layer = (from: number, to: number, stride = 1) =>
    net.conv(from, to, 3, { pads: [1, 1, 1, 1], strides: [stride, stride] }, true);
  net.node('Relu');
  quantize();
  layer(3, 16).node('Relu');
  let channels = 16;
  for (const width of [16, 32, 64]) {
    for (let block = 0; block < 3; block++) {
      const trunk = quantize();
      const stride = width > channels ? 2 : 1;
      layer(channels, width, stride).node('Relu');
      quantize();
      layer(width, width);
      const branch = net.last;
      const shortcut = stride === 2 ? net.from(trunk).conv(channels, width, 1, { strides: [2, 2] }).last : trunk;
      net.from(branch).node('Add', [branch, shortcut]).node('Relu');
      channels = width;
    }
  }
  net.node('GlobalAveragePool').node('Flatten');
  quantize();
  return net.gemm(64, 10).finish();
}

/** The layers of a LeNet-5, on quantized activations. */
function lenet(): Graph {
  const net = new NetworkBuilder('lenet', [1, 1, 28, 28]);
  const quantize = () => {
    const scale = net.parameter([1], 0.05, 0.06, false);
    return net.node('wgslim.FakeQuantize', [net.last, scale], { bits: 8, signed: 0, narrow: 0, axis: -1 });
  };
  const pool = { kernel_shape: [2, 2], strides: [2, 2] };
  quantize();
  net
    .conv(1, 6, 5, { pads: [2, 2, 2, 2] }, true)
    .node('Relu')
    .node('AveragePool', [net.last], pool);
  quantize();
  net.conv(6, 16, 5, {}, true).node('Relu').node('AveragePool', [net.last], pool).node('Flatten');
  for (const [from, to] of [
    [400, 120],
    [120, 84],
    [84, 10],
  ] as const) {
    quantize();
    net.gemm(from, to);
    if (to > 10) net.node('Relu');
  }
  return net.finish();
}

describe('small weights', () => {
  const networks: [string, () => Uint8Array][] = [
    ['4 bits, dense', () => encoded(dense(), onGrid(4))],
    ['4 bits, 90 % zeros', () => encoded(dense(), onGrid(4, sparse))],
    ['3 bits, 90 % zeros', () => encoded(dense(), onGrid(3, sparse))],
    ['float32, 90 % zeros', () => encoded(dense(), pruned('f32'))],
    ['float16, 90 % zeros', () => encoded(dense(), pruned('f16'))],
    ['a LeNet of 4 bits, 90 % zeros', () => encoded(lenet(), onGrid(4, sparse), 'f16')],
    [
      'a LeNet of 4 bits, half zeros',
      () =>
        encoded(
          lenet(),
          onGrid(4, (i) => i % 7 < 3),
          'f16',
        ),
    ],
    ['1 bit on 4-bit activations', () => encoded(residualNetwork(4), halves, 'f16')],
    ['2 bits on 4-bit activations', () => encoded(residualNetwork(4), onGrid(2), 'f16')],
    ['3 bits on 4-bit activations', () => encoded(residualNetwork(4), onGrid(3), 'f16')],
    ['4 bits on 4-bit activations', () => encoded(residualNetwork(4), onGrid(4), 'f16')],
    [
      '4 bits, half of them zeros',
      () =>
        encoded(
          residualNetwork(4),
          onGrid(4, (i) => i % 7 < 3),
          'f16',
        ),
    ],
    ['7 bits on 8-bit activations', () => encoded(residualNetwork(8), onGrid(7), 'f16')],
    ['8 bits on 8-bit activations', () => encoded(residualNetwork(8), onGrid(8), 'f16')],
    ['8 bits, 90 % zeros', () => encoded(residualNetwork(8), onGrid(8, sparse), 'f16')],
  ];

  it.each(networks)('take 5 % more than in the file at most, and compute the same: %s', async (_, make) => {
    const gpu = await testGpu();
    const decoded = decodeModel(make(), { fileName: 'test' });
    const payload = [...decoded.encodings.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    const compile = async (memory: 'small' | 'fast') => {
      const parameters = packedParameters(gpu, decoded, memory);
      let weights = 0;
      const model = await InferenceModel.compile(gpu, decoded.graph, {
        batch: 1,
        parameters: (graph) => {
          const inputs = gpu.buffers.statistics.bytes;
          const found = parameters(graph);
          weights = gpu.buffers.statistics.bytes - inputs;
          return found;
        },
      });
      models.push(model);
      return { model, weights };
    };
    const small = await compile('small');
    const fast = await compile('fast');
    expect(small.weights).toBeGreaterThan(0.98 * payload);
    expect(small.weights).toBeLessThanOrEqual(1.05 * payload);
    const { name, shape } = small.model.inputs[0]!;
    const x = new Map([[name, randomFloats(5, numel(shape))]]);
    const [actual] = (await small.model.run(x)).values();
    const [expected] = (await fast.model.run(x)).values();
    // Where the forms are the same, so are all bits; a sparse kernel adds in another order, and a sum on the edge between
    // two codes of the next quantizer may fall to either side.
    expect(relativeError(actual!, expected!)).toBeLessThan(decoded.graph.name === 'large' ? 2e-5 : 0.02);
    expect(new Set(expected).size).toBeGreaterThan(1);
  });

  it('are unpacked into memory that activations leave free', async () => {
    const gpu = await testGpu();
    for (const file of [
      encoded(
        residualNetwork(4),
        onGrid(4, (i) => i % 7 < 3),
        'f16',
      ),
      encoded(residualNetwork(8), onGrid(7), 'f16'),
    ]) {
      const decoded = decodeModel(file, { fileName: 'test' });
      const payload = [...decoded.encodings.values()].reduce((sum, { bytes }) => sum + bytes, 0);
      const plan = async (memory: 'small' | 'fast') => {
        const parameters = packedParameters(gpu, decoded, memory);
        const model = await InferenceModel.compile(gpu, decoded.graph, { batch: 1, parameters });
        models.push(model);
        const before = gpu.buffers.statistics.bytes;
        const own = parameters(decoded.graph);
        const weights = gpu.buffers.statistics.bytes - before;
        own.dispose?.();
        return { weights, planned: model.memory.planned };
      };
      const [small, fast] = [await plan('small'), await plan('fast')];
      expect(small.weights).toBeLessThan(fast.weights);
      expect(small.weights + small.planned).toBeLessThanOrEqual(1.05 * payload + fast.planned);
    }
  });

  it('say what is stored and why', async () => {
    const decoded = decodeModel(encoded(residualNetwork(8), onGrid(7), 'f16'), { fileName: 'test' });
    const tensors = [...packTensors({ kind: 'gpu' }, decoded).values()];
    const [tensor] = tensors.filter(({ stored }) => stored?.coding === 'packed');
    expect(describePacking(tensor!)).toBe('int8 from packed');
    expect(tensor?.choice.reason).toMatch(/, which every run makes of \d+ \(packed streams\)$/);
    expect(packedBytes(tensor!)).toBe(tensor?.stored?.words.byteLength);
    const floats = decodeModel(encoded(dense(), pruned('f32')), { fileName: 'test' });
    const [first] = packTensors({ kind: 'gpu' }, floats).values();
    expect(describePacking(first!)).toBe('float32 from gap');
    const fast = [...packTensors({ kind: 'gpu' }, decoded, 'fast').values()];
    expect(fast.every(({ stored }) => stored === undefined)).toBe(true);
  });
});

/** Most of a tensor zeros, the others as they are. */
function pruned(kind: 'f32' | 'f16') {
  return (tensor: Tensor) => {
    const values = (tensor.data as Float32Array).map((value, i) => (sparse(i) ? value : 0));
    return { tensor: { ...tensor, data: values }, encoding: { kind } as const };
  };
}

describe('memory', () => {
  it.each(['small', 'fast'] as const)('holds what the file holds, and gives it back: %s', async (memory) => {
    const gpu = await testGpu();
    const net = new NetworkBuilder('large', [1, 64]).gemm(64, 512).node('Relu').gemm(512, 512);
    const decoded = decodeModel(encoded(net.finish(), onGrid(4)), { fileName: 'test' });
    const before = gpu.buffers.statistics.bytes;
    const model = await InferenceModel.compile(gpu, decoded.graph, {
      batch: 1,
      parameters: packedParameters(gpu, decoded, memory),
    });
    const payload = [...decoded.encodings.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    const inputs = 64 * 4;
    const weights = gpu.buffers.statistics.bytes - before - model.memory.planned - inputs;
    expect(weights).toBeGreaterThanOrEqual(payload);
    expect(weights).toBeLessThan(1.05 * payload);
    model.dispose();
    expect(gpu.buffers.statistics.bytes).toBe(before);
  });
});
