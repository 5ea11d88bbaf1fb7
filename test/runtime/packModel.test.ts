import { afterEach, describe, expect, it } from 'vitest';
import { InferenceModel } from '../../src/engine/inference.ts';
import { packableWeights } from '../../src/engine/packing.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import type { WeightEncoding } from '../../src/format/encodedTensor.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { numel } from '../../src/graph/tensor.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import { packedParameters, packTensors } from '../../src/runtime/packModel.ts';
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

/** Weights of layers on a grid, whatever else as float16. */
function encoded(graph: Graph, encode: (tensor: Tensor) => { tensor: Tensor; encoding: WeightEncoding }): Uint8Array {
  const initializers = new Map(graph.initializers);
  const encodings = new Map<string, WeightEncoding>();
  const layers = packableWeights(graph);
  for (const [name, tensor] of graph.initializers) {
    if (tensor.dtype !== 'float32') continue;
    if (!layers.has(name)) {
      encodings.set(name, { kind: 'f32' });
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

describe('memory', () => {
  it('holds what the file holds, and gives it back', async () => {
    const gpu = await testGpu();
    const net = new NetworkBuilder('large', [1, 64]).gemm(64, 512).node('Relu').gemm(512, 512);
    const decoded = decodeModel(encoded(net.finish(), onGrid(4)), { fileName: 'test' });
    const before = gpu.buffers.statistics.bytes;
    const model = await InferenceModel.compile(gpu, decoded.graph, {
      batch: 1,
      parameters: packedParameters(gpu, decoded),
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
