import { describe, expect, it } from 'vitest';
import { convGeometry } from '../../src/graph/infer/conv.ts';
import type { Node } from '../../src/graph/types.ts';
import { conv } from '../../src/kernels/conv.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { fakeQuantize } from '../../src/kernels/fakeQuantize.ts';
import { int8Conv } from '../../src/kernels/int8Conv.ts';
import { quantizePlanes, quantizeRows } from '../../src/kernels/int8Planes.ts';
import { int8Processor } from '../../src/kernels/int8Processor.ts';
import { chooseInt8Product, int8Product } from '../../src/kernels/int8Product.ts';
import { packInt8 } from '../../src/kernels/int8Weights.ts';
import { matmul, matrix as view } from '../../src/kernels/matmul.ts';
import { weightsOf } from '../../src/kernels/weightMatrix.ts';
import { testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';
import { randomWeights } from '../support/weightMatrices.ts';

const DENSE = { groups: 1, taps: 1 };

/** m, rows, k */
const shapes: [number, number, number][] = [
  [1, 70, 45],
  [1, 33, 3],
  [2, 40, 64],
  [3, 21, 30],
  [4, 9, 17],
  [7, 37, 26],
  [32, 35, 41],
  [3, 5, 0],
];

const sizes = shapes.flatMap(([m, rows, k], i): [string, number, number, number][] => [
  [m % 2 === 0 ? 'int8' : 'int6z', m, rows, k],
  [['int4', 'int4', 'int4', 'int3', 'int4', 'int4', 'int4', 'int2'][i]!, m, rows, k],
]);

describe.each(KINDS)('int8 dense layers as a %s computes them', (kind) => {
  it.each(sizes)('%s, %i × %i, k = %i', async (format, m, rows, k) => {
    const direct = new DirectRecorder(await testGpu());
    const recorder = recorderOfKind(direct, kind);
    const weights = randomWeights(format, rows, k, m + k);
    const { words, ...layout } = packInt8(weights, DENSE);
    expect(layout.bits).toBe(['int8', 'int6z'].includes(format) ? 8 : 4);
    const [data, bias, residual] = [
      randomFloats(1, m * k, -3, 9),
      randomFloats(2, rows, -50, 50),
      randomFloats(3, m * rows, -50, 50),
    ];
    const quantizer = { scale: 0.031, low: 0, high: 255 };
    const x = quantizeRows(recorder, { x: direct.upload('f32', data), m, k, ...quantizer });
    const packed = { ...layout, operand: direct.upload('u32', words) };
    const [out, added] = [0, 1].map(() => direct.temporary('f32', m * rows));
    int8Product(recorder, { processor: int8Processor, x, weights: packed, out: out!, m });
    int8Product(recorder, {
      processor: int8Processor,
      x,
      weights: packed,
      bias: direct.upload('f32', bias),
      residual: direct.upload('f32', residual),
      out: added!,
      m,
      lo: -40,
      hi: 60,
    });
    await direct.run();
    const w = weightsOf(weights);
    // The codes come from float32 divisions; the GPU may take the neighbour of a code that is this close to the middle.
    const codes = Array.from(data, (value) => Math.round(Math.min(255, Math.max(0, value / 0.031))));
    const distance = Array.from(data, (value) => Math.abs(Math.abs((value / 0.031) % 1) - 0.5));
    expect(Math.min(1, ...distance)).toBeGreaterThan(1e-5);
    const expected = Float64Array.from({ length: m * rows }, (_, i) => {
      const [item, row] = [Math.floor(i / rows), i % rows];
      let sum = 0;
      for (let j = 0; j < k; j++) sum += w[row * k + j]! * codes[item * k + j]!;
      return sum * Math.fround(0.031);
    });
    expect(relativeError(await direct.read(out!), expected)).toBeLessThan(1e-6);
    const sums = expected.map((value, i) => Math.min(60, Math.max(-40, value + bias[i % rows]! + residual[i]!)));
    expect(relativeError(await direct.read(added!), sums)).toBeLessThan(1e-6);
    direct.dispose();
  });
});

it.each(KINDS)('multiplies without dot4I8Packed as a %s', async (kind) => {
  const direct = new DirectRecorder(await testGpu());
  const plain = recorderOfKind(direct, kind);
  const without = { ...plain, capabilities: { ...plain.capabilities, packedDot: false } };
  const calls: string[] = [];
  const watched = {
    ...without,
    dispatch: (...[shader, call]: Parameters<typeof without.dispatch>) => {
      calls.push(shader.code);
      without.dispatch(shader, call);
    },
  };
  const k = 50;
  const weights = randomWeights('int8', 12, k);
  const { words, ...layout } = packInt8(weights, DENSE);
  const packed = { ...layout, operand: direct.upload('u32', words) };
  const data = direct.upload('f32', randomFloats(1, 10 * k, -200, 200));
  const outs = [1, 10].flatMap((m) => {
    const x = quantizeRows(plain, { x: data, m, k, scale: 1, low: -128, high: 127 });
    return [plain, watched].map((recorder) => {
      const out = direct.temporary('f32', m * 12);
      int8Product(recorder, { processor: int8Processor, x, weights: packed, out, m });
      return out;
    });
  });
  // Groups that straddle words.
  const attributes = { group: 2 };
  const node: Node = { name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes };
  const shape = convGeometry(node, [1, 10, 4, 5], [6, 5, 2, 2]);
  const grouped = packInt8(randomWeights('int8', 6, 20), { groups: 2, taps: 4 });
  const planes = quantizePlanes(plain, { x: data, shape, scale: 1, low: -128, high: 127 });
  for (const recorder of [plain, watched]) {
    const out = direct.temporary('f32', 6 * shape.oh * shape.ow);
    int8Conv(recorder, {
      processor: int8Processor,
      x: planes,
      weights: { ...grouped, operand: direct.upload('u32', grouped.words) },
      shape,
      out,
    });
    outs.push(out);
  }
  await direct.run();
  expect(calls.length).toBe(3);
  expect(calls.some((code) => code.includes('dot4I8Packed'))).toBe(false);
  for (let i = 0; i < outs.length; i += 2) {
    const results = await direct.read(outs[i]!);
    expect(await direct.read(outs[i + 1]!)).toEqual(results);
    expect(results.some((value) => value !== 0)).toBe(true);
  }
  direct.dispose();
});

it('computes what fake quantization and a float kernel do', async () => {
  const direct = new DirectRecorder(await testGpu());
  const attributes = { pads: [1, 1, 1, 1] };
  const node: Node = { name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes };
  const shape = convGeometry(node, [2, 13, 8, 8], [18, 13, 3, 3]);
  const data = randomFloats(1, 2 * 13 * 64, -1, 3);
  const [x, fake] = [direct.upload('f32', data), direct.temporary('f32', data.length)];
  const quantizer = { scale: 0.0113, low: 0, high: 255 };
  fakeQuantize(direct, { x, ...quantizer, scale: direct.upload('f32', Float32Array.of(quantizer.scale)), out: fake });
  const matrix = randomWeights('int8', 18, 117);
  const floats = direct.upload('f32', weightsOf(matrix));
  const bias = direct.upload('f32', randomFloats(2, 18));
  const [expected, actual] = [0, 1].map(() => direct.temporary('f32', 2 * 18 * 64));
  conv(direct, { x: fake, weights: floats, bias, out: expected!, shape });
  const { words, ...layout } = packInt8(matrix, { groups: 1, taps: 9 });
  const planes = quantizePlanes(direct, { x, shape, ...quantizer });
  int8Conv(direct, {
    processor: int8Processor,
    x: planes,
    weights: { ...layout, operand: direct.upload('u32', words) },
    bias,
    out: actual!,
    shape,
  });
  // A dense layer of the same numbers.
  const dense = randomWeights('int4z', 20, 64, 5);
  const packed = packInt8(dense, DENSE);
  const [wanted, found] = [0, 1].map(() => direct.temporary('f32', 26 * 20));
  const rows = quantizeRows(direct, { x, m: 26, k: 64, ...quantizer });
  matmul(direct, {
    ...{ m: 26, n: 20, k: 64 },
    a: view(fake, 64),
    b: view(direct.upload('f32', weightsOf(dense)), 64, true),
    out: view(wanted!, 20),
  });
  int8Product(direct, {
    processor: int8Processor,
    x: rows,
    weights: { ...packed, operand: direct.upload('u32', packed.words) },
    out: found!,
    m: 26,
  });
  await direct.run();
  expect(relativeError(await direct.read(actual!), await direct.read(expected!))).toBeLessThan(1e-5);
  expect(relativeError(await direct.read(found!), await direct.read(wanted!))).toBeLessThan(1e-5);
  direct.dispose();
});

it('takes tiles of as many rows of x as there are', () => {
  const cpu = { kind: 'cpu', subgroupSize: 8 } as const;
  const columns = (m: number) => chooseInt8Product(cpu, { m, rows: 1000 });
  expect(columns(32)).toEqual({ kind: 'subgroup', subgroup: 8, columns: 8 });
  expect(columns(8)).toEqual({ kind: 'subgroup', subgroup: 8, columns: 8 });
  expect(columns(3)).toEqual({ kind: 'subgroup', subgroup: 8, columns: 4 });
  expect(columns(1)).toEqual({ kind: 'subgroup', subgroup: 8, columns: 1 });
  expect(chooseInt8Product({ kind: 'gpu' }, { m: 2, rows: 10 })).toEqual({ kind: 'matvec', columns: 2 });
  expect(chooseInt8Product({ kind: 'gpu' }, { m: 6, rows: 10 })).toEqual({ kind: 'matvec', columns: 4 });
  expect(chooseInt8Product({ kind: 'gpu' }, { m: 9, rows: 10 })).toEqual({ kind: 'tiles' });
});
