import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { convGeometry } from '../../src/graph/infer/conv.ts';
import { conv } from '../../src/kernels/conv.ts';
import { convAlternatives } from '../../src/kernels/convAlternatives.ts';
import type { Unpacking } from '../../src/kernels/convCall.ts';
import { chooseDenseProduct, denseProduct } from '../../src/kernels/denseProduct.ts';
import { canPackDense, packDense } from '../../src/kernels/denseWeights.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import type { Adapter } from '../../src/kernels/productVariant.ts';
import { dense } from '../../src/kernels/tune/packedVariants.ts';
import { tileOfWeights } from '../../src/kernels/validConv.ts';
import { type WeightMatrix, weightsOf } from '../../src/kernels/weightMatrix.ts';
import { openWithout, testGpu } from '../support/gpu.ts';
import { randomFloats, relativeError } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';
import { conv as convReference } from '../support/reference/products.ts';
import { array64 } from '../support/reference/reference.ts';
import { randomWeights } from '../support/weightMatrices.ts';

const FORMATS = [
  ...['f32', 'f16', 'int8', 'int7', 'int6', 'int5', 'int4', 'int3', 'int2', 'int1'],
  ...['int8/16z', 'int5/8z', 'int4/32', 'int4z', 'int3/24', 'int1z', 'table4/64', 'table3', 'table8/16', 'table2'],
];

function upload(recorder: DirectRecorder, matrix: WeightMatrix) {
  const { words, ...layout } = packDense(matrix);
  return { ...layout, operand: recorder.upload('u32', words) };
}

/** out[m][rows] in double precision. */
function productReference(
  matrix: WeightMatrix,
  x: Float32Array,
  bias: Float32Array,
  residual: Float32Array,
  m: number,
) {
  const { rows, k } = matrix;
  const w = weightsOf(matrix);
  return Float64Array.from({ length: m * rows }, (_, i) => {
    const [item, row] = [Math.floor(i / rows), i % rows];
    let sum = bias[row]! + residual[i]!;
    for (let j = 0; j < k; j++) sum += w[row * k + j]! * x[item * k + j]!;
    return Math.min(2, Math.max(-1.5, sum));
  });
}

describe.each(KINDS)('products with packed weights as a %s computes them', (kind) => {
  it.each(FORMATS)('%s', async (format) => {
    const recorder = new DirectRecorder(await testGpu());
    const of = recorderOfKind(recorder, kind);
    // Sizes that are no multiple of a tile, a word, a group or a subgroup.
    const all: [rows: number, k: number, m: number][] = [
      [37, 45, 1],
      [21, 33, 11],
    ];
    // Tiles in workgroup memory compile slowly on software adapters: there each format takes one of the sizes.
    const sizes = kind === 'cpu' ? all : [all[FORMATS.indexOf(format) % 2]!];
    // Other counts of vectors are other pipelines, but no other way of unpacking.
    if (format === 'int5/8z') sizes.push([9, 50, 2], [70, 27, 5], [3, 1, 1]);
    const checks: (() => Promise<void>)[] = [];
    for (const [rows, k, m] of sizes) {
      const matrix = randomWeights(format, rows, k, rows + m);
      expect(canPackDense(matrix)).toBe(true);
      const [x, bias, residual] = [randomFloats(1, m * k), randomFloats(2, rows), randomFloats(3, m * rows)];
      const out = recorder.temporary('f32', m * rows);
      denseProduct(of, {
        weights: upload(recorder, matrix),
        x: recorder.upload('f32', x),
        bias: recorder.upload('f32', bias),
        residual: recorder.upload('f32', residual),
        ...{ out, m, lo: -1.5, hi: 2 },
      });
      checks.push(async () => {
        const expected = productReference(matrix, x, bias, residual, m);
        expect(relativeError(await recorder.read(out), expected), `${rows}×${k}, ${m}`).toBeLessThan(1e-5);
      });
    }
    await recorder.run();
    for (const check of checks) await check();
    recorder.dispose();
  });

  it.each(['f16', 'int8', 'int5', 'int3/16', 'table4/8'])('convolutions, %s', async (format) => {
    const recorder = new DirectRecorder(await testGpu());
    const of = recorderOfKind(recorder, kind);
    const cases: { x: number[]; w: number[]; attributes: Record<string, number | number[]> }[] = [
      { x: [2, 8, 9, 7], w: [19, 8, 3, 3], attributes: { pads: [1, 1, 1, 1], strides: [2, 1] } },
      { x: [1, 12, 6, 6], w: [18, 4, 2, 2], attributes: { group: 3 } },
      { x: [2, 16, 6, 5], w: [16, 1, 3, 3], attributes: { group: 16, pads: [1, 1, 1, 1] } },
    ];
    const checks: (() => Promise<void>)[] = [];
    for (const { x: xShape, w: wShape, attributes } of cases) {
      const [rows, k] = [wShape[0]!, wShape[1]! * wShape[2]! * wShape[3]!];
      const matrix = randomWeights(format, rows, k, 4);
      const node = { name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes };
      const shape = convGeometry(node, xShape, wShape);
      const x = randomFloats(
        5,
        xShape.reduce((a, b) => a * b),
      );
      const inputs = [array64(xShape, x), array64(wShape, weightsOf(matrix)), array64([rows], randomFloats(6, rows))];
      const plain = convReference({ attributes, inputs, training: false })[0]!;
      const residual = randomFloats(7, plain.data.length);
      const out = recorder.temporary('f32', plain.data.length);
      conv(of, {
        x: recorder.upload('f32', x),
        weights: upload(recorder, matrix),
        bias: recorder.upload('f32', randomFloats(6, rows)),
        residual: recorder.upload('f32', residual),
        ...{ out, shape, lo: 0 },
      });
      checks.push(async () => {
        const expected = plain.data.map((value, i) => Math.max(0, value + residual[i]!));
        expect(relativeError(await recorder.read(out), expected)).toBeLessThan(1e-5);
      });
    }
    await recorder.run();
    for (const check of checks) await check();
    recorder.dispose();
  });

  it.each([
    ['f32', 44],
    ['int8/16z', 44],
    ['table4/64', 45],
    ['int3', 48],
  ] as const)('in tiles, %s, %i terms', async (format, k) => {
    const recorder = new DirectRecorder(await testGpu());
    const [rows, m] = [37, 67];
    const matrix = randomWeights(format, rows, k, 3);
    const [x, bias, residual] = [randomFloats(1, m * k), randomFloats(2, rows), randomFloats(3, m * rows)];
    const out = recorder.temporary('f32', m * rows);
    denseProduct(recorderOfKind(recorder, kind), {
      weights: upload(recorder, matrix),
      x: recorder.upload('f32', x),
      bias: recorder.upload('f32', bias),
      residual: recorder.upload('f32', residual),
      ...{ out, m, lo: -1.5, hi: 2, alternatives: convAlternatives },
    });
    await recorder.run();
    const expected = productReference(matrix, x, bias, residual, m);
    expect(relativeError(await recorder.read(out), expected)).toBeLessThan(1e-5);
    recorder.dispose();
  });

  it('keeps a NaN of x, and only in the vector that has it', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const of = recorderOfKind(recorder, kind);
    const [rows, k, m] = [11, 13, 2];
    const x = randomFloats(1, m * k);
    x[k - 1] = Number.NaN;
    const out = recorder.temporary('f32', m * rows);
    denseProduct(of, {
      weights: upload(recorder, randomWeights('int4', rows, k)),
      x: recorder.upload('f32', x),
      ...{ out, m, lo: 0, hi: 6 },
    });
    await recorder.run();
    const y = await recorder.read(out);
    expect(y.subarray(0, rows).every(Number.isNaN)).toBe(true);
    expect(y.subarray(rows).some(Number.isNaN)).toBe(false);
    recorder.dispose();
  });
});

describe('float16 weights in tiles', () => {
  const matrix = randomWeights('f16', 33, 40);
  const multiply = async (gpu: Gpu) => {
    const recorder = new DirectRecorder(gpu);
    const out = recorder.temporary('f32', 11 * 33);
    denseProduct(recorderOfKind(recorder, 'gpu'), {
      weights: upload(recorder, matrix),
      x: recorder.upload('f32', randomFloats(1, 11 * 40)),
      ...{ out, m: 11 },
    });
    await recorder.run();
    const result = await recorder.read(out);
    recorder.dispose();
    return result;
  };

  it('are half-precision where the adapter has it, and give the same numbers where it has not', async () => {
    expect(tileOfWeights({ f16: true }, { BITS: 16 })).toBe('vec4h');
    expect(tileOfWeights({ f16: false }, { BITS: 16 })).toBe('vec4f');
    expect(tileOfWeights({ f16: true }, { BITS: 8 })).toBe('vec4f');
    const without = await openWithout(['shader-f16']);
    try {
      expect(without.capabilities.f16).toBe(false);
      expect(await multiply(await testGpu())).toEqual(await multiply(without));
    } finally {
      without.destroy();
    }
  });
});

describe('packed words', () => {
  it.each([
    ['int4', 32 * 64, 4],
    ['int3', 32 * 64, 3],
    ['int5', 32 * 64, 5],
    ['int1', 32 * 64, 1],
    ['f16', 32 * 64, 16],
  ])('%s takes its bits and no more', (format, elements, bits) => {
    const { words } = packDense(randomWeights(format, 32, 64, 2));
    const scales = format === 'f16' ? 0 : 32;
    expect(words.length).toBe((elements * bits) / 32 + scales);
  });

  it('refuses groups that a step of eight terms would straddle', () => {
    expect(canPackDense(randomWeights('int4/12', 2, 36))).toBe(false);
    expect(canPackDense(randomWeights('int4/36', 2, 36))).toBe(true);
  });
});

describe('the choice of a kernel', () => {
  const codes = (k: number, bits = 4) => ({ bits, table: false, group: k, k });
  const lavapipe: Adapter = { kind: 'cpu', subgroupSize: 8 };
  const swiftShader: Adapter = { kind: 'cpu', subgroupSize: 4 };

  it.each([
    ['cpu', undefined, 64, 2, { kind: 'matvec', vectors: 2 }],
    ['gpu', 32, 64, 1, { kind: 'matvec', vectors: 1 }],
    ['gpu', 32, 64, 8, { kind: 'matvec', vectors: 4 }],
    ['gpu', 32, 64, 9, { kind: 'matmul' }],
  ] as const)('%s, subgroups of %s, %i rows, %i vectors', (kind, subgroupSize, rows, m, expected) => {
    const adapter = { kind, ...(subgroupSize && { subgroupSize }) };
    expect(chooseDenseProduct(adapter, { rows, m, weights: codes(256) })).toEqual(expected);
  });

  /** Named as `wgslim tune` names them. */
  const idOf = (adapter: Adapter, m: number, rows: number, weights: Unpacking) => {
    const choice = dense.rule(adapter, { m, rows, weights });
    return dense.candidates(adapter, { m, rows, weights }).find(({ value }) => isDeepStrictEqual(value, choice))?.id;
  };

  // The fastest by measurement, or within 10 % of it.
  it.each([
    [1, 10, 84, 'v1r4', 'v1r2'],
    [1, 24, 400, 'v1r4', 'v1r4'],
    [1, 84, 120, 'v1r4', 'v1r4'],
    [1, 1024, 1024, 'v1r4', 'v1r4'],
    [2, 120, 256, 'v2r4', 'v2r4'],
    [4, 84, 120, 'v4r4', 'v4r4'],
    [4, 1024, 1024, 'v4r4', 'v4r4'],
    [5, 84, 120, 'r8', 'v4r4'],
    [8, 10, 84, 'r8', 'v4r2'],
    [8, 120, 256, 'r8', 'v4r4'],
    [8, 1024, 1024, 'r8', 'v4r4'],
    [16, 24, 400, 'r8', 'v4r4'],
    [16, 120, 400, 'r8', 'v4r4'],
    [32, 120, 84, 'r8', 'r16'],
    [40, 256, 1024, 'r8', 'v4r4'],
    [64, 256, 1024, 'r8', 'r16'],
    [128, 10, 400, 'r8', 'r16'],
  ])('%i vectors, %i rows, %i terms of 4 bits: %s on SwiftShader, %s on lavapipe', (m, rows, k, ...expected) => {
    expect([swiftShader, lavapipe].map((adapter) => idOf(adapter, m, rows, codes(k)))).toEqual(expected);
  });

  it('depends on what it takes to unpack the weights', () => {
    const at = (adapter: Adapter, m: number, weights: Unpacking) => idOf(adapter, m, 256, weights);
    // Tiles of eight rows are slow on SwiftShader where codes lie in two planes.
    expect([3, 4, 8].map((bits) => at(swiftShader, 8, codes(400, bits)))).toEqual(['r16', 'r8', 'r8']);
    expect([2, 4, 8].map((bits) => at(lavapipe, 24, codes(400, bits)))).toEqual(['v4r4', 'v4r4', 'r16']);
    // Tiles look a code up once for all vectors.
    expect([8, 12].map((m) => at(lavapipe, m, { ...codes(400), table: true }))).toEqual(['v4r2', 'r16']);
    expect(at(swiftShader, 4, { ...codes(400), table: true })).toBe('v4r4');
  });
});
