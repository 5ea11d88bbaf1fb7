/** Quantized graphs written as ONNX, run by onnxruntime and compared with what the format and our engine make of them. */
import { describe, expect, it } from 'vitest';
import { decodeModel } from '../../src/format/decodeModel.ts';
import { denseCodes } from '../../src/format/denseCodes.ts';
import { type EncodedTensor, scaleCount, scaleIndexer, type WeightEncoding } from '../../src/format/encodedTensor.ts';
import { encodeModel } from '../../src/format/encodeModel.ts';
import { floatTensor } from '../../src/graph/tensor.ts';
import { exportQuantized } from '../../src/onnx/exportQuantized.ts';
import type { QuantizedWeight } from '../../src/onnx/quantizedWeight.ts';
import { randomFloats } from '../support/numbers.ts';
import { sketchGraph } from './build.ts';
import { runOnnxruntime } from './ort.ts';

/** What the command line hands over: the integers of a decoded file. */
function quantizedWeights(encodings: ReadonlyMap<string, EncodedTensor>): Map<string, QuantizedWeight> {
  const weights = new Map<string, QuantizedWeight>();
  for (const [name, encoded] of encodings) {
    const { kind, shape, bits, scale, zeroPoint, axis, groupSize } = encoded;
    if (kind === 'int') {
      weights.set(name, { shape, bits, codes: denseCodes(encoded), scale: scale!, zeroPoint, axis, groupSize });
    }
  }
  return weights;
}

interface Grid {
  shape: number[];
  bits: number;
  axis?: number;
  groupSize?: number;
  zeroPoints?: boolean;
  layout?: 'dense' | 'bitmap' | 'gap';
}

/** A file with one weight on a grid, `w`, and a network that adds it to its input. */
function fileOf({ shape, bits, axis, groupSize, zeroPoints, layout }: Grid) {
  const grouping = { ...(axis !== undefined && { axis }), ...(groupSize !== undefined && { groupSize }) };
  const scales = scaleCount(shape, grouping);
  const scale = randomFloats(bits, scales, 0.01, 0.3);
  const zeroPoint = Int32Array.from({ length: scales }, (_, i) => (7 * i + 1) % 2 ** bits);
  const encoding: WeightEncoding = {
    kind: 'int',
    bits,
    scale,
    ...grouping,
    ...(zeroPoints && { zeroPoint }),
    ...(layout && { layout }),
  };
  const length = shape.reduce((a, b) => a * b, 1);
  const lowest = zeroPoints ? 0 : -(2 ** (bits - 1));
  const scaleOf = scaleIndexer(shape, grouping);
  const values = randomFloats(bits + 1, length, 0, 1).map((random, i) => {
    if (layout && i % 3 > 0) return 0;
    const code = lowest + Math.floor(random * 2 ** bits);
    return scale[scaleOf(i)]! * (code - (zeroPoints ? zeroPoint[scaleOf(i)]! : 0)) + 0;
  });
  const graph = sketchGraph({
    inputs: { x: shape },
    outputs: ['y'],
    initializers: { w: floatTensor(shape, values) },
    nodes: [['Add', ['x', 'w'], ['y']]],
  });
  return encodeModel(graph, new Map([['w', encoding]]), {});
}

const BITS = [1, 2, 3, 4, 5, 6, 7, 8];
const GRIDS: Omit<Grid, 'bits'>[] = [
  { shape: [5, 3, 3, 3] },
  { shape: [5, 3, 3, 3], axis: 0 },
  { shape: [7, 5], axis: 1 },
  { shape: [4, 2, 3], axis: 1, zeroPoints: true },
  { shape: [3, 64], groupSize: 32 },
  { shape: [3, 40], groupSize: 16 },
  { shape: [3, 2, 21], groupSize: 7, zeroPoints: true },
  { shape: [9], groupSize: 4 },
  { shape: [6, 11], axis: 0, layout: 'bitmap' },
  { shape: [6, 11], axis: 0, layout: 'gap', zeroPoints: true },
];

describe('weights', () => {
  it.each(GRIDS)('come out of onnxruntime bit for bit: %j', async (grid) => {
    for (const bits of BITS) {
      const { graph, encodings } = decodeModel(fileOf({ ...grid, bits }), { fileName: 'w' });
      const { bytes, weights } = exportQuantized(graph, quantizedWeights(encodings));
      expect(weights.get('w')).toMatchObject({
        bits,
        type: `${grid.zeroPoints ? 'u' : ''}int${bits <= 4 ? 4 : 8}`,
      });
      const { shape, data } = graph.initializers.get('w')!;
      const { y } = await runOnnxruntime(bytes, { x: floatTensor(shape, new Float32Array(data.length)) });
      expect(y!.data, `${bits} bits`).toEqual((data as Float32Array).map((value) => value + 0));
    }
  });
});

describe('pruned float weights', () => {
  it('have their zeros in place', async () => {
    const values = randomFloats(4, 60).map((value, i) => (i % 4 === 0 ? value : 0));
    const graph = sketchGraph({
      inputs: { x: [6, 10] },
      outputs: ['y'],
      initializers: { w: floatTensor([6, 10], values) },
      nodes: [['Add', ['x', 'w'], ['y']]],
    });
    for (const layout of ['bitmap', 'gap'] as const) {
      const file = encodeModel(graph, new Map([['w', { kind: 'f32', layout }]]), {});
      const { graph: read, encodings } = decodeModel(file, { fileName: 'w' });
      const { bytes, weights } = exportQuantized(read, quantizedWeights(encodings));
      expect(weights.size).toBe(0);
      const { y } = await runOnnxruntime(bytes, { x: floatTensor([6, 10], new Float32Array(60)) });
      expect(y!.data).toEqual(values);
    }
  });
});

describe('quantizers of activations', () => {
  const cases = [2, 3, 4, 5, 8].flatMap((bits) => [
    { bits, signed: 0, narrow: 0 },
    { bits, signed: 1, narrow: 0 },
    { bits, signed: 1, narrow: 1 },
  ]);
  it.each(cases)('round and saturate as the levels say: %j', async ({ bits, signed, narrow }) => {
    const scale = Math.fround(0.37);
    // Past both ends, on the grid, and on the halves between levels, which go to the even one.
    const x = Float32Array.from({ length: 4 * 2 ** bits + 9 }, (_, i) =>
      Math.fround(scale * ((i - 2 * 2 ** bits) / 2)),
    );
    const graph = sketchGraph({
      inputs: { x: [1, x.length] },
      outputs: ['y'],
      initializers: { s: floatTensor([1], [scale]) },
      nodes: [['wgslim.FakeQuantize', ['x', 's'], ['y'], { bits, signed, narrow, axis: -1 }]],
    });
    const { bytes, activations } = exportQuantized(graph, new Map());
    expect(activations.get('y')).toMatch(signed ? /^int[48]$/ : /^uint[48]$/);
    const { y } = await runOnnxruntime(bytes, { x: floatTensor([1, x.length], x) });
    const high = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
    const low = signed ? (narrow ? -high : -high - 1) : 0;
    const expected = x.map((value) => {
      const level = Math.fround(value / scale);
      const floor = Math.floor(level);
      const even = level - floor === 0.5 ? floor + (floor & 1) : Math.round(level);
      return Math.fround(scale * Math.min(Math.max(even, low), high)) + 0;
    });
    expect((y!.data as Float32Array).map((value) => value + 0)).toEqual(expected);
  });
});
