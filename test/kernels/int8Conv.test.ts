import { describe, expect, it } from 'vitest';
import { convGeometry } from '../../src/graph/infer/conv.ts';
import type { Node } from '../../src/graph/types.ts';
import type { ConvShape } from '../../src/kernels/convShape.ts';
import { type BufferOperand, DirectRecorder } from '../../src/kernels/direct.ts';
import { chooseInt8Conv, int8Conv } from '../../src/kernels/int8Conv.ts';
import {
  emptyPlanes,
  type Int8Quantizer,
  planesHeight,
  planesWidth,
  type QuantizedPlanes,
  quantizePlanes,
} from '../../src/kernels/int8Planes.ts';
import { int8Processor } from '../../src/kernels/int8Processor.ts';
import { sharesWords, sumsAsFloats } from '../../src/kernels/int8Tiles.ts';
import { packInt8 } from '../../src/kernels/int8Weights.ts';
import type { Recorder } from '../../src/kernels/kernel.ts';
import type { WeightMatrix } from '../../src/kernels/weightMatrix.ts';
import { testGpu } from '../support/gpu.ts';
import { random, randomFloats } from '../support/numbers.ts';
import { KINDS, recorderOfKind } from '../support/recorderOfKind.ts';

type Attributes = Record<string, number | number[]>;

const SIGNED = { low: -128, high: 127 };
const UNSIGNED = { low: 0, high: 255 };

const cases: [name: string, x: number[], w: number[], attributes: Attributes, levels: typeof SIGNED][] = [
  ['3x3 in strips', [2, 9, 7, 12], [21, 9, 3, 3], { pads: [1, 1, 1, 1] }, UNSIGNED],
  ['3x3, odd width', [3, 5, 7, 9], [6, 5, 3, 3], { pads: [0, 1, 2, 1] }, SIGNED],
  ['3x3, stride 2', [1, 16, 9, 9], [18, 16, 3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }, UNSIGNED],
  ['5x2, dilation 2', [1, 6, 11, 10], [3, 6, 5, 2], { pads: [2, 0, 1, 1], dilations: [2, 2] }, SIGNED],
  ['1x1', [2, 33, 5, 9], [40, 33, 1, 1], {}, UNSIGNED],
  ['1x1, too long for floats', [1, 2500, 1, 3], [5, 2500, 1, 1], {}, SIGNED],
  ['1x1 image of whole words', [3, 32, 1, 1], [6, 32, 1, 1], {}, UNSIGNED],
  ['1x1 image', [1, 7, 1, 1], [5, 7, 1, 1], {}, SIGNED],
  ['groups of whole words', [2, 8, 6, 8], [24, 4, 3, 3], { group: 2, pads: [1, 1, 1, 1] }, UNSIGNED],
  ['groups of 6', [1, 18, 5, 6], [9, 6, 3, 2], { group: 3, dilations: [2, 1] }, UNSIGNED],
  ['depthwise', [2, 10, 6, 9], [10, 1, 3, 3], { group: 10, pads: [1, 1, 1, 1] }, UNSIGNED],
  ['depthwise in strips', [1, 7, 5, 8], [7, 1, 3, 5], { group: 7, pads: [1, 2, 1, 2], dilations: [2, 1] }, SIGNED],
  ['depthwise, stride 2', [1, 4, 9, 8], [4, 1, 3, 3], { group: 4, pads: [1, 1, 0, 1], strides: [2, 2] }, UNSIGNED],
  ['depthwise, multiplier 2', [1, 6, 5, 5], [12, 1, 3, 3], { group: 6, pads: [1, 1, 1, 1] }, UNSIGNED],
];

type Case = [bits: number, ...(typeof cases)[number]];

/** Everything with bytes and with nibbles, and two cases with codes that do not fill their nibbles. */
const all: Case[] = [
  ...cases.map((one): Case => [8, ...one]),
  ...cases.map((one): Case => [4, ...one]),
  [3, ...cases[0]!],
  [2, ...cases[9]!],
];

const elements = (lengths: readonly number[]) => lengths.reduce((product, length) => product * length, 1);

/** Integer weights with scales that are powers of two, so that every result is exact in float32. */
function weightMatrix(rows: number, k: number, bits = 8): WeightMatrix {
  const next = random(7);
  const most = 2 ** (bits - 1);
  const codes = Int16Array.from({ length: rows * k }, () => Math.floor(next(-most, most)));
  const scale = Float32Array.from({ length: rows }, (_, row) => 2 ** -(row % 5));
  return { rows, k, values: { kind: 'int', bits, codes, scale, halfScale: false, group: Math.max(1, k) } };
}

/** Codes of x, halves to even, saturated. */
function codesOf(data: Float32Array, { scale, low, high }: Int8Quantizer): Int32Array {
  return Int32Array.from(data, (value) => {
    const v = Math.min(high, Math.max(low, value / scale));
    const floor = Math.floor(v);
    if (v - floor !== 0.5) return Math.round(v);
    return floor % 2 === 0 ? floor : floor + 1;
  });
}

/** Σ code·(x code), integers, a zero outside of x. */
function sums(codes: Int32Array, { values, k }: WeightMatrix, shape: ConvShape): Float64Array {
  const { n, ic, ih, iw, oc, oh, ow, kh, kw, strideH, strideW, dilH, dilW, padTop, padLeft, groups } = shape;
  if (values.kind !== 'int') throw new Error('integer weights');
  const out = new Float64Array(n * oc * oh * ow);
  const groupIn = ic / groups;
  let at = 0;
  for (let image = 0; image < n; image++) {
    for (let row = 0; row < oc; row++) {
      const first = Math.floor(row / (oc / groups)) * groupIn;
      for (let oy = 0; oy < oh; oy++) {
        for (let ox = 0; ox < ow; ox++, at++) {
          for (let i = 0; i < k; i++) {
            const [c, ky, kx] = [Math.floor(i / (kh * kw)), Math.floor(i / kw) % kh, i % kw];
            const y = oy * strideH + ky * dilH - padTop;
            const x = ox * strideW + kx * dilW - padLeft;
            if (y < 0 || y >= ih || x < 0 || x >= iw) continue;
            out[at]! += values.codes[row * k + i]! * codes[((image * ic + first + c) * ih + y) * iw + x]!;
          }
        }
      }
    }
  }
  return out;
}

/** [n][channels][h][w] with its border, from words. */
function unpack(
  words: Uint32Array,
  planes: QuantizedPlanes,
): { codes: Int32Array; border: Set<number>; rest: Set<number> } {
  const { n, channels, h, w, padding, shift } = planes;
  const [outH, outW] = [planesHeight(planes), planesWidth(planes)];
  const bytes = new Int8Array(words.buffer);
  const codes = new Int32Array(n * channels * h * w);
  const border = new Set<number>();
  const rest = new Set<number>();
  const channelWords = Math.ceil(channels / 4);
  for (let i = 0; i < n * channelWords * outH * outW * 4; i++) {
    const word = Math.floor(i / 4);
    const plane = Math.floor(word / (outH * outW));
    const channel = (plane % channelWords) * 4 + (i % 4);
    const y = (Math.floor(word / outW) % outH) - padding.top;
    const x = (word % outW) - padding.left;
    const value = bytes[i]! + shift;
    if (y < 0 || y >= h || x < 0 || x >= w) border.add(value);
    else if (channel >= channels) rest.add(value);
    else codes[((Math.floor(plane / channelWords) * channels + channel) * h + y) * w + x] = value;
  }
  return { codes, border, rest };
}

const variants: [name: string, of: (recorder: Recorder) => Recorder][] = [
  ...KINDS.map((kind): [string, (recorder: Recorder) => Recorder] => [
    kind,
    (recorder) => recorderOfKind(recorder, kind),
  ]),
];

describe.each(variants)('int8 convolution as a %s computes it', (_, of) => {
  it.each(all)('%i bits: %s', async (bits, _name, xShape, wShape, attributes, levels) => {
    const direct = new DirectRecorder(await testGpu());
    const recorder = of(direct);
    const node: Node = { name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes };
    const shape = convGeometry(node, xShape, wShape);
    const quantizer = { scale: 0.25, ...levels };
    // Some beyond the ends of the range, some halfway between two codes.
    const data = randomFloats(1, elements(xShape), (levels.low - 20) / 4, (levels.high + 20) / 4).map((value, i) =>
      i % 3 === 0 ? Math.round(value * 8) / 8 : value,
    );
    const matrix = weightMatrix(wShape[0]!, elements(wShape.slice(1)), bits);
    const { scale } = matrix.values as { scale: Float32Array };
    const { words, ...layout } = packInt8(matrix, { groups: shape.groups, taps: shape.kh * shape.kw });
    const oneChannel = shape.groups === shape.ic && shape.groups === shape.oc;
    expect(layout.bits).toBe(bits === 8 || oneChannel ? 8 : 4);
    const weights = { ...layout, operand: direct.upload('u32', words) };
    const codes = codesOf(data, quantizer);
    const pixels = shape.oh * shape.ow;
    const channel = (i: number) => Math.floor(i / pixels) % shape.oc;
    const plain = sums(codes, matrix, shape).map((sum, i) => sum * 0.25 * scale[channel(i)]!);
    // Whole numbers, so that these results are exact as well.
    const bias = Float32Array.from(randomFloats(2, shape.oc, -300, 300), Math.round);
    const residual = Float32Array.from(randomFloats(3, plain.length, -300, 300), Math.round);
    const most = 700;
    const expected = plain.map((value, i) => Math.min(most, Math.max(0, value + bias[channel(i)]! + residual[i]!)));

    const x = quantizePlanes(recorder, { x: direct.upload('f32', data), shape, ...quantizer });
    const [out, bounded] = [0, 1].map(() => direct.temporary('f32', plain.length));
    int8Conv(recorder, { processor: int8Processor, x, weights, shape, out: out! });
    const both = {
      bias: direct.upload('f32', bias),
      residual: direct.upload('f32', residual),
      lo: 0,
      hi: most,
    };
    int8Conv(recorder, { processor: int8Processor, x, weights, shape, out: bounded!, ...both });
    // The next layer's input: as codes alone, and beside the floats.
    const next = { ...shape, n: shape.n, ic: shape.oc, ih: shape.oh, iw: shape.ow };
    const nextQuantizer = { scale: 3, low: 0, high: 200 };
    const alone = emptyPlanes(recorder, {
      shape: { ...next, padTop: 0, padLeft: 2, padBottom: 1, padRight: 0 },
      ...nextQuantizer,
    });
    const beside = emptyPlanes(recorder, { shape: next, ...nextQuantizer });
    const again = direct.temporary('f32', plain.length);
    int8Conv(recorder, { processor: int8Processor, x, weights, shape, codes: alone, ...both });
    int8Conv(recorder, { processor: int8Processor, x, weights, shape, out: again, codes: beside, ...both });
    const later = quantizePlanes(recorder, { x: again, shape: next, ...nextQuantizer });
    await direct.run();

    const quantized = unpack(await direct.readU32(x.operand as BufferOperand<'u32'>), x);
    expect(quantized.codes).toEqual(codes);
    expect([...quantized.border, ...quantized.rest].every((value) => value === 0)).toBe(true);
    expect(await direct.read(out!)).toEqual(Float32Array.from(plain));
    expect(await direct.read(bounded!)).toEqual(Float32Array.from(expected));
    expect(await direct.read(again)).toEqual(Float32Array.from(expected));
    const nextCodes = codesOf(Float32Array.from(expected), nextQuantizer);
    for (const planes of [alone, beside]) {
      const written = unpack(await direct.readU32(planes.operand as BufferOperand<'u32'>), planes);
      expect(written.codes).toEqual(nextCodes);
      expect([...written.border, ...written.rest].every((value) => value === 0)).toBe(true);
    }
    const wordsOf = ({ operand }: QuantizedPlanes) => direct.readU32(operand as BufferOperand<'u32'>);
    expect(await wordsOf(beside)).toEqual(await wordsOf(later));
    direct.dispose();
  });
});

it('takes tiles where words of four channels belong to one group', () => {
  expect(chooseInt8Conv({ ic: 3, oc: 10, groups: 1 })).toBe('tiles');
  expect(chooseInt8Conv({ ic: 16, oc: 8, groups: 2 })).toBe('tiles');
  expect(chooseInt8Conv({ ic: 16, oc: 6, groups: 2 })).toBe('grouped');
  expect(chooseInt8Conv({ ic: 12, oc: 8, groups: 2 })).toBe('grouped');
  expect(chooseInt8Conv({ ic: 8, oc: 8, groups: 8 })).toBe('depthwise');
  expect(chooseInt8Conv({ ic: 8, oc: 16, groups: 8 })).toBe('grouped');
});

it('keeps sums as floats only where they are exact and faster', () => {
  expect(sumsAsFloats(4, 2 ** 17)).toBe(true);
  expect(sumsAsFloats(4, 2 ** 17 + 1)).toBe(false);
  expect(sumsAsFloats(8, 100)).toBe(false);
});

it('shares words among neighbours only where they are in one row', () => {
  expect(sharesWords({ kw: 3, ow: 16, kx: 1, ox: 1 })).toBe(true);
  expect(sharesWords({ kw: 3, ow: 14, kx: 1, ox: 1 })).toBe(false);
  expect(sharesWords({ kw: 3, ow: 16, kx: 1, ox: 2 })).toBe(false);
  expect(sharesWords({ kw: 3, ow: 16, kx: 2, ox: 1 })).toBe(false);
  expect(sharesWords({ kw: 5, ow: 16, kx: 1, ox: 1 })).toBe(false);
});

it('reads planes with a wider border than its own, and refuses narrower ones', async () => {
  const direct = new DirectRecorder(await testGpu());
  const conv = (w: number[], attributes: Attributes) => {
    const node: Node = { name: 'conv', op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes };
    return convGeometry(node, [2, 5, 7, 7], w);
  };
  const data = Float32Array.from(randomFloats(1, 2 * 5 * 49, -100, 100), Math.round);
  const quantizer = { scale: 1, ...SIGNED };
  const wide = conv([4, 5, 3, 3], { pads: [1, 1, 1, 1] });
  const shortcut = conv([6, 5, 1, 1], { strides: [2, 2] });
  const planes = quantizePlanes(direct, { x: direct.upload('f32', data), shape: wide, ...quantizer });
  const bare = quantizePlanes(direct, { x: direct.upload('f32', data), shape: shortcut, ...quantizer });
  const matrix = weightMatrix(6, 5);
  const { words, ...layout } = packInt8(matrix, { groups: 1, taps: 1 });
  const weights = { ...layout, operand: direct.upload('u32', words) };
  const out = direct.temporary('f32', 2 * 6 * 16);
  int8Conv(direct, { processor: int8Processor, x: planes, weights, shape: shortcut, out });
  await direct.run();
  const { scale } = matrix.values as { scale: Float32Array };
  const expected = sums(codesOf(data, quantizer), matrix, shortcut).map(
    (sum, i) => sum * scale[Math.floor(i / 16) % 6]!,
  );
  expect(await direct.read(out)).toEqual(Float32Array.from(expected));
  const kernel = packInt8(weightMatrix(4, 45), { groups: 1, taps: 9 });
  const larger = { ...kernel, operand: direct.upload('u32', kernel.words) };
  expect(() => int8Conv(direct, { processor: int8Processor, x: bare, weights: larger, shape: wide, out })).toThrow(
    'border is narrower',
  );
  expect(() =>
    int8Conv(direct, { processor: int8Processor, x: planes, weights: larger, shape: { ...wide, oc: 6 }, out }),
  ).toThrow('weights of');
  expect(() =>
    int8Conv(direct, { processor: int8Processor, x: planes, weights: larger, shape: { ...wide, ih: 8 }, out }),
  ).toThrow('planes of');
  expect(() => int8Conv(direct, { processor: int8Processor, x: planes, weights: larger, shape: wide })).toThrow(
    'neither floats nor codes',
  );
  direct.dispose();
});
