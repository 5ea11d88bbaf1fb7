/** A plan for another batch size takes the weights that are on the GPU: nothing of the file is decoded or uploaded again. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { roundWeights } from '../../examples/web-classify/roundWeights.ts';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { floatTensor, int64Tensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { exportOnnx } from '../../src/onnx/export.ts';
import { load } from '../../src/web.ts';
import { generator, type NodeSketch, randomTensor, sketchGraph } from '../onnx/build.ts';
import { runOnnxruntime } from '../onnx/ort.ts';
import { testGpu } from '../support/gpu.ts';

const counts = vi.hoisted(() => ({ decoded: 0 }));
vi.mock('../../src/format/unpackTensor.ts', async (original) => {
  const real = await original<typeof import('../../src/format/unpackTensor.ts')>();
  return {
    ...real,
    unpackingTensor(...args: Parameters<typeof real.unpackingTensor>) {
      counts.decoded++;
      return real.unpackingTensor(...args);
    },
  };
});

const SIDE = 8;
const CHANNELS = 16;
const CLASSES = 4;
const FEATURES = CHANNELS * SIDE * SIDE;

/** Conv, BatchNormalization, Conv, Clip, Gemm; every weight is longer than what stays on the host. */
function network(...end: NodeSketch[]): Graph {
  const random = generator(3);
  const tensor = (...shape: number[]) => randomTensor(shape, random);
  const positive = floatTensor(
    [CHANNELS],
    Float32Array.from({ length: CHANNELS }, () => 0.5 + random()),
  );
  return sketchGraph({
    inputs: { image: ['N', CHANNELS, SIDE, SIDE] },
    outputs: ['logits'],
    initializers: {
      first: tensor(CHANNELS, CHANNELS, 3, 3),
      scale: tensor(CHANNELS),
      shift: tensor(CHANNELS),
      mean: tensor(CHANNELS),
      variance: positive,
      second: tensor(CHANNELS, CHANNELS, 3, 3),
      low: floatTensor([], [-0.5]),
      high: floatTensor([], [2]),
      dense: tensor(CLASSES, FEATURES),
      bias: tensor(CLASSES),
      shape: int64Tensor([0, -1]),
    },
    nodes: [
      ['Conv', ['image', 'first'], ['a'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
      ['BatchNormalization', ['a', 'scale', 'shift', 'mean', 'variance'], ['b']],
      ['Conv', ['b', 'second'], ['c'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
      ['Clip', ['c', 'low', 'high'], ['d']],
      ['Reshape', ['d', 'shape'], ['e']],
      ...end,
    ],
  });
}

const ofGemm = () => network(['Gemm', ['e', 'dense', 'bias'], ['logits'], { transB: 1 }]);
/** The dense layer's weight is made by folding. */
const ofTransposed = () =>
  network(
    ['Transpose', ['dense'], ['turned'], { perm: [1, 0] }],
    ['MatMul', ['e', 'turned'], ['f']],
    ['Add', ['f', 'bias'], ['logits']],
  );

const input = (batch: number) => Float32Array.from({ length: batch * FEATURES }, (_, i) => Math.sin(i));

async function oracle(bytes: Uint8Array, batch: number): Promise<Float32Array> {
  const { graph } = decodeModel(bytes, { fileName: 'the oracle' });
  const image = floatTensor([batch, CHANNELS, SIDE, SIDE], input(batch));
  return (await runOnnxruntime(exportOnnx(graph), { image })).logits!.data as Float32Array;
}

/** Bytes that are written to buffers from now on. */
async function spyOnUploads() {
  const written = { bytes: 0 };
  const { queue } = (await testGpu()).device;
  const write = queue.writeBuffer.bind(queue);
  const spy = vi.spyOn(queue, 'writeBuffer').mockImplementation((...args) => {
    written.bytes += (args[2] as ArrayBufferView).byteLength;
    return write(...args);
  });
  return { written, stop: () => spy.mockRestore() };
}

beforeEach(() => {
  counts.decoded = 0;
});

describe('another batch size', () => {
  const float32 = () => encodeModel(ofGemm(), new Map(), {});
  const fourBits = () => roundWeights(ofGemm(), 4, {});
  it.each([
    ['float32', 'fast', float32],
    ['4 bits', 'fast', fourBits],
    ['float32', 'small', float32],
    ['4 bits', 'small', fourBits],
  ] as const)('takes the weights that are there: %s, %s', async (_, memory, make) => {
    const bytes = make();
    const expected = new Map<number, Float32Array>();
    for (const batch of [2, 5, 1]) expected.set(batch, await oracle(bytes, batch));
    counts.decoded = 0;
    const uploads = await spyOnUploads();
    const model = await load(bytes, { device: (await testGpu()).device, batch: 2, weights: memory });
    // The spies see what there is to see.
    expect(counts.decoded).toBeGreaterThanOrEqual(8);
    expect(uploads.written.bytes).toBeGreaterThan(0.9 * bytes.length);
    const { weights } = model.memory();
    for (const [batch, logits] of expected) {
      counts.decoded = 0;
      uploads.written.bytes = 0;
      const actual = (await model.run(input(batch))).logits!;
      expect(counts.decoded).toBe(0);
      // The input, and arguments of dispatches where those do not travel with them.
      expect(uploads.written.bytes - 4 * batch * FEATURES).toBeLessThan(4096);
      expect(model.memory().weights).toBe(weights);
      const most = logits.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      expect(actual).toHaveLength(logits.length);
      for (const [i, value] of actual.entries()) expect(Math.abs(value - logits[i]!)).toBeLessThan(1e-4 * most);
    }
    uploads.stop();
    model.dispose();
  });

  it('gives the right answers where folding reads a weight, which is decoded once for that', async () => {
    const bytes = encodeModel(ofTransposed(), new Map(), {});
    const tensors = decodeModel(bytes, { fileName: 'the file' }).encodings.size;
    const gpu = await testGpu();
    const before = gpu.buffers.statistics;
    counts.decoded = 0;
    const model = await load(bytes, { device: gpu.device, batch: 2 });
    // Twice: what normalisation is folded into, and what is transposed.
    expect(counts.decoded).toBe(tensors + 2);
    for (const batch of [3, 1, 2]) {
      const logits = await oracle(bytes, batch);
      counts.decoded = 0;
      const actual = (await model.run(input(batch))).logits!;
      expect(counts.decoded).toBe(0);
      const most = logits.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      for (const [i, value] of actual.entries()) expect(Math.abs(value - logits[i]!)).toBeLessThan(1e-4 * most);
    }
    model.dispose();
    expect(gpu.buffers.statistics).toMatchObject({ bytes: before.bytes, buffers: before.buffers });
  });
});
