/** What there is to measure at keys of layers whose weights are packed, but for convolutions by codes (`subjects.ts`). */
import { convAlternatives } from '../convAlternatives.ts';
import type { ConvShape } from '../convShape.ts';
import { denseProduct } from '../denseProduct.ts';
import { int8Conv } from '../int8Conv.ts';
import { storedCodes } from '../int8Planes.ts';
import { int8Processor } from '../int8Processor.ts';
import { int8Product } from '../int8Product.ts';
import { type ConvDims, choiceAt, convElement, HALF, type Make } from './choiceAt.ts';
import * as variants from './packedVariants.ts';
import { randomDense, randomInt8, unpackingAt } from './packedWeights.ts';
import { seededValues } from './values.ts';

export const dense: Make = (d, adapter) => {
  const [m, rows, k] = [d.m!, d.o!, d.k!];
  const unpacking = unpackingAt(d, k);
  if (!unpacking) return undefined;
  const half = d.h === 1;
  const random = randomDense(rows, unpacking);
  return {
    ...choiceAt(variants.dense, adapter, { m, rows, weights: unpacking, half }),
    ...(half && HALF),
    inputs: [m * k],
    words: () => [random.packed().words],
    outputs: m * rows,
    record(recorder, [x], out, _, [operand]) {
      const weights = { ...random.packed(), operand: operand! };
      denseProduct(recorder, { weights, x: x!, out, m, alternatives: convAlternatives });
    },
    expected([x], index) {
      const weights = random.values();
      const [item, row] = [Math.floor(index / rows), index % rows];
      let sum = 0;
      for (let i = 0; i < k; i++) sum += x![item * k + i]! * weights[row * k + i]!;
      return sum;
    },
  };
};

/** Activations after a Relu, of eight bits. */
const CODES = storedCodes({ scale: 1 / 128, low: 0, high: 255 });

/** Codes as they are stored, four to a word. */
function storedBytes(words: number): Int8Array<ArrayBuffer> {
  return Int8Array.from(seededValues(1, 4 * words), (value) => Math.floor(128 * value));
}

const wordsOf = (bytes: Int8Array<ArrayBuffer>) => new Uint32Array(bytes.buffer);
const activation = (byte: number) => CODES.scale * (byte + CODES.shift);

export const int8product: Make = (d, adapter) => {
  const [m, rows, k, bits] = [d.m!, d.o!, d.k!, d.w!];
  if (bits !== 8 && bits !== 4) return undefined;
  const random = randomInt8(rows, k, bits, { groups: 1, taps: 1 });
  const rowWords = 4 * Math.ceil(k / 16);
  return {
    ...choiceAt(variants.int8product, adapter, { m, rows, k, bits }),
    inputs: [],
    words: () => [random.packed().words, wordsOf(storedBytes(m * rowWords))],
    outputs: m * rows,
    record(recorder, _, out, __, [operand, codes]) {
      const weights = { ...random.packed(), operand: operand! };
      const x = { ...CODES, operand: codes!, m, k, rowWords };
      int8Product(recorder, { x, weights, out, m, processor: int8Processor });
    },
    expected(_, index, [__, codes]) {
      const weights = random.values();
      const bytes = new Int8Array(codes!.buffer);
      const [item, row] = [Math.floor(index / rows), index % rows];
      let sum = 0;
      for (let i = 0; i < k; i++) sum += activation(bytes[4 * item * rowWords + i]!) * weights[row * k + i]!;
      return sum;
    },
  };
};

export const int8conv: Make = (d, adapter) => {
  const dims = d as unknown as ConvDims;
  const { g: groups, o, i, kh, kw, oh, ow } = dims;
  const [n, dilation, stride, bits] = [d.n!, d.d!, d.s!, d.w!];
  if (bits !== 8 && bits !== 4) return undefined;
  const ih = (oh - 1) * stride + (kh - 1) * dilation + 1;
  const iw = (ow - 1) * stride + (kw - 1) * dilation + 1;
  const channels = groups * i;
  const shape: ConvShape = {
    ...{ n, ic: channels, ih, iw, oc: groups * o, oh, ow, kh, kw, groups },
    ...{ strideH: stride, strideW: stride, dilH: dilation, dilW: dilation },
    ...{ padTop: 0, padLeft: 0, padBottom: 0, padRight: 0 },
  };
  const random = randomInt8(groups * o, i * kh * kw, bits, { groups, taps: kh * kw });
  const channelWords = Math.ceil(channels / 4);
  const padding = { top: 0, left: 0, bottom: 0, right: 0 };
  return {
    ...choiceAt(variants.int8conv, adapter, { ...shape, bits }),
    inputs: [],
    words: () => [random.packed().words, wordsOf(storedBytes(n * channelWords * ih * iw))],
    outputs: n * groups * o * oh * ow,
    record(recorder, _, out, __, [operand, codes]) {
      const weights = { ...random.packed(), operand: operand! };
      const x = { ...CODES, operand: codes!, n, channels, h: ih, w: iw, padding };
      int8Conv(recorder, { x, weights, shape, out, processor: int8Processor });
    },
    expected(_, index, [__, codes]) {
      const bytes = new Int8Array(codes!.buffer);
      return convElement(dims, index, random.values(), (image, channel, row, column, ky, kx) => {
        const plane = (image * channelWords + Math.floor(channel / 4)) * ih;
        const at = (plane + row * stride + ky * dilation) * iw + column * stride + kx * dilation;
        return activation(bytes[4 * at + (channel % 4)]!);
      });
    },
  };
};
