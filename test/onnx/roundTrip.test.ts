/** What the export writes comes back as it was, and goes out as the same bytes. */
import { describe, expect, it } from 'vitest';
import { floatTensor } from '../../src/graph/tensor.ts';
import type { Graph } from '../../src/graph/types.ts';
import { exportQuantized } from '../../src/onnx/exportQuantized.ts';
import { importQuantized } from '../../src/onnx/import.ts';
import { packedBlock } from '../../src/onnx/packedProduct.ts';
import { dequantize, type QuantizedWeight, scaleShape } from '../../src/onnx/quantizedWeight.ts';
import { random, randomFloats, relativeError } from '../support/numbers.ts';
import { sketchGraph } from './build.ts';
import { runOnnxruntime } from './ort.ts';

type Grid = Omit<QuantizedWeight, 'codes' | 'scale' | 'zeroPoint'> & { zeroPoints?: boolean };

export function randomWeight({ zeroPoints, ...grid }: Grid): QuantizedWeight {
  const next = random(grid.bits + 100 * grid.shape.length);
  const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const scales = count(scaleShape({ ...grid, codes: [], scale: new Float32Array() }));
  const levels = 2 ** grid.bits;
  const lowest = zeroPoints ? 0 : -levels / 2;
  return {
    ...grid,
    codes: Int16Array.from({ length: count(grid.shape) }, () => lowest + Math.floor(next() * levels)),
    scale: randomFloats(grid.bits, scales, 0.01, 0.3),
    ...(zeroPoints && { zeroPoint: Int16Array.from({ length: scales }, () => Math.floor(next() * levels)) }),
  };
}

const tensorOf = (weight: QuantizedWeight) => floatTensor(weight.shape, dequantize(weight));

/** Exports, reads back and exports again; both times the bytes must be the same. */
function thereAndBack(graph: Graph, weights: ReadonlyMap<string, QuantizedWeight>, packed = false) {
  const { bytes } = exportQuantized(graph, weights, { packed });
  const back = importQuantized(bytes, { fileName: 'back.onnx' });
  expect(exportQuantized(back.graph, back.weights, { packed }).bytes).toEqual(bytes);
  return { bytes, back };
}

const GRIDS: Omit<Grid, 'bits'>[] = [
  { shape: [5, 3, 3, 3] },
  { shape: [5, 3, 3, 3], axis: 0 },
  { shape: [1, 5], axis: 0 },
  { shape: [7, 5], axis: 1, zeroPoints: true },
  { shape: [3, 64], groupSize: 32 },
  { shape: [3, 2, 21], groupSize: 7, zeroPoints: true },
  { shape: [9], groupSize: 4 },
];

describe('weights', () => {
  it.each(GRIDS)('keep values, grid and bytes: %j', (grid) => {
    for (const bits of [1, 2, 3, 4, 5, 8]) {
      const weight = randomWeight({ ...grid, bits });
      const graph = sketchGraph({
        inputs: { x: grid.shape as number[] },
        outputs: ['y'],
        initializers: { first: floatTensor([1], [2]), w: tensorOf(weight), last: floatTensor([1], [3]) },
        nodes: [
          ['Add', ['x', 'w'], ['a']],
          ['Mul', ['a', 'first'], ['b']],
          ['Mul', ['b', 'last'], ['y']],
        ],
      });
      const { back } = thereAndBack(graph, new Map([['w', weight]]));
      expect(back.graph).toEqual(graph);
      expect([...back.graph.initializers.keys()]).toEqual([...graph.initializers.keys()]);
      const { codes, zeroPoint, ...rest } = back.weights.get('w')!;
      expect(Array.from(codes)).toEqual(Array.from(weight.codes));
      expect(Array.from(zeroPoint ?? [])).toEqual(Array.from(weight.zeroPoint ?? []));
      const { codes: _, zeroPoint: __, ...expected } = weight;
      expect({ ...rest, axis: rest.axis, groupSize: rest.groupSize }).toEqual({ ...expected, bits: bits <= 4 ? 4 : 8 });
    }
  });
});

describe('quantizers of activations', () => {
  const cases = [2, 3, 4, 5, 7, 8, 9, 16].flatMap((bits) => [
    { bits, signed: 0, narrow: 0, axis: -1 },
    { bits, signed: 1, narrow: 0, axis: -1 },
    { bits, signed: 1, narrow: 1, axis: -1 },
  ]);
  it.each([...cases, { bits: 8, signed: 1, narrow: 0, axis: 1 }])('come back as they were: %j', (attributes) => {
    const scales = attributes.axis < 0 ? [0.37] : [0.1, 0.2, 0.3, 0.4];
    const graph = sketchGraph({
      inputs: { x: ['N', 4] },
      outputs: ['y', 'z'],
      initializers: { s: floatTensor([scales.length], scales) },
      // Two quantizers share a scale; the clips of the second belong to the graph and stay.
      nodes: [
        ['wgslim.FakeQuantize', ['x', 's'], ['q'], attributes],
        ['Relu', ['q'], ['r']],
        ['wgslim.FakeQuantize', ['r', 's'], ['y'], attributes],
        ['wgslim.FakeQuantize', ['x', 's'], ['z'], attributes],
      ],
    });
    expect(thereAndBack(graph, new Map()).back.graph).toEqual(graph);
  });

  it('leaves a Clip of the model itself where it is', () => {
    const graph = sketchGraph({
      inputs: { x: ['N', 4] },
      outputs: ['y'],
      initializers: { low: floatTensor([], [0]), high: floatTensor([], [0.5 * 15]), s: floatTensor([1], [0.5]) },
      nodes: [
        ['Clip', ['x', 'low', 'high'], ['c']],
        ['wgslim.FakeQuantize', ['c', 's'], ['y'], { bits: 8, signed: 0, narrow: 0, axis: -1 }],
      ],
    });
    expect(thereAndBack(graph, new Map()).back.graph).toEqual(graph);
  });
});

const PACKED: (Omit<Grid, 'bits' | 'shape'> & { block?: number })[] = [
  {},
  { axis: 0 },
  { axis: 0, zeroPoints: true },
  { groupSize: 16, block: 16 },
  { groupSize: 32, zeroPoints: true, block: 32 },
  { groupSize: 48, block: 16 },
  { groupSize: 512, block: 256 },
];

describe('packed products', () => {
  // 50 is no multiple of any block.
  it.each(PACKED)('compute x·wᵀ + b in onnxruntime, and come back: %j', async ({ block, ...grid }) => {
    for (const bits of [1, 3, 4, 5, 8]) {
      const [m, n, k] = [3, 5, 50];
      const weight = randomWeight({ shape: [n, k], bits, ...grid });
      const x = randomFloats(1, m * k);
      const b = randomFloats(2, n);
      const graph = sketchGraph({
        inputs: { x: ['M', k] },
        outputs: ['y'],
        initializers: { w: tensorOf(weight), b: floatTensor([n], b) },
        nodes: [['Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 }]],
      });
      const exported = exportQuantized(graph, new Map([['w', weight]]), { packed: true });
      expect(exported.weights.get('w')).toMatchObject({ bits, block: expect.any(Number) });
      const { bytes, back } = thereAndBack(graph, new Map([['w', weight]]), true);
      expect(back.graph.nodes).toEqual(graph.nodes);
      expect(back.graph.initializers.get('w')).toEqual(graph.initializers.get('w'));
      expect(back.weights.get('w')!.groupSize).toBe(exported.weights.get('w')!.block);
      if (block) expect(exported.weights.get('w')!.block).toBe(block);
      const { y } = await runOnnxruntime(bytes, { x: floatTensor([m, k], x) });
      const w = dequantize(weight);
      for (let row = 0; row < m; row++) {
        for (let column = 0; column < n; column++) {
          let [sum, size] = [b[column]!, Math.abs(b[column]!)];
          for (let i = 0; i < k; i++) {
            sum += x[row * k + i]! * w[column * k + i]!;
            size += Math.abs(x[row * k + i]! * w[column * k + i]!);
          }
          expect(Math.abs((y!.data as Float32Array)[row * n + column]! - sum) / size).toBeLessThan(1e-6);
        }
      }
    }
  });

  it('have blocks that fit the groups, or take the fewest bytes', () => {
    expect(packedBlock(100, 4, 96)).toBe(32);
    expect(packedBlock(100, 4, 1024)).toBe(256);
    expect(packedBlock(100, 4, 24)).toBeUndefined();
    expect(packedBlock(16, 4, undefined)).toBe(16);
    // Bytes a row: 84 with blocks of 16, 80 with 32, 72 with 64, 68 with 128, 132 with 256.
    expect(packedBlock(100, 4, undefined)).toBe(128);
    expect(packedBlock(1024, 8, undefined)).toBe(256);
  });

  it('also stand for a MatMul of more than two dimensions, whose weight lies the other way', async () => {
    const [k, n] = [40, 6];
    for (const zeroPoints of [false, true]) {
      const weight = randomWeight({ shape: [k, n], bits: 4, axis: 1, zeroPoints });
      const graph = sketchGraph({
        inputs: { x: ['N', 2, k] },
        outputs: ['y'],
        initializers: { w: tensorOf(weight) },
        nodes: [['MatMul', ['x', 'w'], ['y']]],
      });
      const { bytes, back } = thereAndBack(graph, new Map([['w', weight]]), true);
      expect(back.graph).toEqual(graph);
      expect(back.weights.get('w')!.axis).toBe(1);
      const x = floatTensor([1, 2, k], randomFloats(3, 2 * k));
      const [packed, plain] = await Promise.all(
        [bytes, exportQuantized(graph, new Map()).bytes].map((model) => runOnnxruntime(model, { x })),
      );
      expect(relativeError(packed!.y!.data as Float32Array, plain!.y!.data as Float32Array)).toBeLessThan(1e-6);
    }
  });

  it('stay dequantized where MatMulNBits cannot compute the same', () => {
    const cases: [QuantizedWeight, Record<string, number>][] = [
      [randomWeight({ shape: [5, 48], bits: 4, groupSize: 24 }), { transB: 1 }],
      [randomWeight({ shape: [5, 48], bits: 4, axis: 1 }), { transB: 1 }],
      [randomWeight({ shape: [48, 64], bits: 4, groupSize: 32 }), {}],
      [randomWeight({ shape: [5, 48], bits: 4 }), { transB: 1, alpha: 0.5 }],
    ];
    for (const [weight, attributes] of cases) {
      const graph = sketchGraph({
        inputs: { x: ['M', 48] },
        outputs: ['y'],
        initializers: { w: tensorOf(weight) },
        nodes: [['Gemm', ['x', 'w'], ['y'], attributes]],
      });
      const { bytes } = exportQuantized(graph, new Map([['w', weight]]), { packed: true });
      expect(bytes).toEqual(exportQuantized(graph, new Map([['w', weight]])).bytes);
    }
  });
});
