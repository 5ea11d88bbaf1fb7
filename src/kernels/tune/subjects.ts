/** What there is to measure at a key: the kernel at that shape, on operands of its own. */

import { convGradWeight } from '../convGradWeight.ts';
import type { ConvShape } from '../convShape.ts';
import { floatConvAlternatives } from '../floatConvAlternatives.ts';
import { matmul, type ProductShape } from '../matmul.ts';
import { productAlternatives } from '../productAlternatives.ts';
import { reduceSum } from '../reduceSum.ts';
import { softmax } from '../softmax.ts';
import { validConv } from '../validConv.ts';
import type { Adapter } from './candidates.ts';
import { type ConvDims, choiceAt, convElement, HALF, type Make } from './choiceAt.ts';
import { parseShapeKey } from './keys.ts';
import type { TuneSubject } from './measure.ts';
import * as packed from './packedSubjects.ts';
import { randomDense, unpackingAt } from './packedWeights.ts';
import * as variants from './variants.ts';

/** Undefined for a key of no kernel that can be tuned. */
export function subjectOf(key: string, adapter: Adapter): TuneSubject | undefined {
  const parsed = parseShapeKey(key);
  const make = parsed && makers[parsed.kernel];
  if (!make) return undefined;
  // The table must not stand in the way of what the rule would take.
  const { kind, subgroupSize, matrices } = adapter;
  const subject = make(parsed.dims, { kind, ...(subgroupSize !== undefined && { subgroupSize }), matrices });
  return subject?.key === key ? subject : undefined;
}

/** Multiply-adds or so of one run at a key: what is worth more is measured first. */
export function workOf(key: string): number {
  const { kernel, dims: d } = parseShapeKey(key) ?? { kernel: '', dims: {} as Record<string, number> };
  const product = (...names: string[]) => names.reduce((all, name) => all * (d[name] ?? 1), 1);
  if (kernel === 'product') return product('m', 'n', 'k', 'b');
  if (kernel === 'dense' || kernel === 'int8product') return product('m', 'o', 'k');
  if (kernel === 'conv' || kernel === 'int8conv' || kernel === 'gradient')
    return product('g', 'o', 'i', 'kh', 'kw', 'oh', 'ow', 'n');
  return product('o', 'l', 'n');
}

const product: Make = (d, adapter) => {
  const [m, n, k, batches] = [d.m!, d.n!, d.k!, d.b!];
  const half = d.h === 1;
  const shape: ProductShape = { m, n, k, batches, aRows: d.ar === 1, bRows: d.br === 1, half };
  const [aRow, aColumn] = shape.aRows ? [k, 1] : [1, m];
  const [bRow, bColumn] = shape.bRows ? [n, 1] : [1, k];
  return {
    ...choiceAt(variants.product, adapter, shape),
    ...(half && HALF),
    inputs: [batches * m * k, batches * k * n],
    outputs: batches * m * n,
    record(recorder, [a, b], out) {
      matmul(recorder, {
        ...{ m, n, k, batches },
        a: { operand: a!, rowStride: aRow!, columnStride: aColumn!, batchStride: m * k },
        b: { operand: b!, rowStride: bRow!, columnStride: bColumn!, batchStride: k * n },
        out: { operand: out, rowStride: n, columnStride: 1, batchStride: m * n },
        alternatives: productAlternatives,
      });
    },
    expected([a, b], index) {
      const [batch, i, j] = [Math.floor(index / (m * n)), Math.floor(index / n) % m, index % n];
      let sum = 0;
      for (let l = 0; l < k; l++) {
        sum += a![batch * m * k + i * aRow! + l * aColumn!]! * b![batch * k * n + l * bRow! + j * bColumn!]!;
      }
      return sum;
    },
  };
};

const conv: Make = (d, adapter) => {
  const {
    g: groups,
    o: groupOut,
    i: groupIn,
    kh,
    kw,
    oh,
    ow,
    n: images,
    d: dilation,
    s: stride,
    y: apart,
  } = d as Record<'g' | 'o' | 'i' | 'kh' | 'kw' | 'oh' | 'ow' | 'n' | 'd' | 's' | 'y', number>;
  const h = (oh - 1) * stride + Math.max(0, kh - 1) * dilation + 1;
  const w = (ow - 1) * stride + Math.max(0, kw - 1) * dilation + 1;
  const outW = (ow - 1) * apart + 1;
  const outPlane = ((oh - 1) * apart + 1) * outW;
  const geometry = {
    ...{ images, groups, groupOut, groupIn, kh, kw, oh, ow },
    xAt: {
      ...{ offset: 0, image: groups * groupIn * h * w, channel: h * w },
      ...{ ky: dilation * w, kx: dilation, oy: stride * w, ox: stride },
    },
    outAt: { offset: 0, image: groups * groupOut * outPlane, channel: outPlane, oy: apart * outW, ox: apart },
    weights: unpackingAt(d, groupIn * kh * kw),
    half: d.h === 1,
  };
  const random = geometry.weights && randomDense(groups * groupOut, geometry.weights);
  // Pixels that are written apart leave others as they were, which no comparison could tell from errors.
  if (apart !== 1) return undefined;
  return {
    ...choiceAt(variants.conv, adapter, geometry),
    ...(geometry.half && HALF),
    inputs: [images * groups * groupIn * h * w, ...(random ? [] : [groups * groupOut * groupIn * kh * kw])],
    words: () => (random ? [random.packed().words] : []),
    outputs: images * groups * groupOut * outPlane,
    record(recorder, [x, floats], out, _, [operand]) {
      const weights = random ? { ...random.packed(), operand: operand! } : floats!;
      validConv(recorder, {
        ...geometry,
        x: x!,
        weights,
        out,
        alternatives: floatConvAlternatives,
        label: 'convolution',
      });
    },
    expected([x, floats], index) {
      const weights = random ? random.values() : floats!;
      return convElement(d as unknown as ConvDims, index, weights, (image, channel, row, column, ky, kx) => {
        const plane = (image * groups * groupIn + channel) * h * w;
        return x![plane + (row * stride + ky * dilation) * w + column * stride + kx * dilation]!;
      });
    },
  };
};

const gradient: Make = (d, adapter) => {
  const {
    g: groups,
    o,
    i,
    kh,
    kw,
    oh,
    ow,
    n,
    d: dilation,
    s: stride,
  } = d as Record<'g' | 'o' | 'i' | 'kh' | 'kw' | 'oh' | 'ow' | 'n' | 'd' | 's', number>;
  const ih = (oh - 1) * stride + (kh - 1) * dilation + 1;
  const iw = (ow - 1) * stride + (kw - 1) * dilation + 1;
  const shape: ConvShape = {
    ...{ n, ic: groups * i, ih, iw, oc: groups * o, oh, ow, kh, kw, groups },
    ...{ strideH: stride, strideW: stride, dilH: dilation, dilW: dilation },
    ...{ padTop: 0, padLeft: 0, padBottom: 0, padRight: 0 },
  };
  return {
    ...choiceAt(variants.gradient, adapter, shape),
    inputs: [n * groups * i * ih * iw, n * groups * o * oh * ow],
    outputs: groups * o * i * kh * kw,
    record: (recorder, [x, dy], dw) => convGradWeight(recorder, { x: x!, dy: dy!, dw, shape }),
    expected([x, dy], index) {
      const [kx, ky] = [index % kw, Math.floor(index / kw) % kh];
      const [c, channel] = [Math.floor(index / (kw * kh)) % i, Math.floor(index / (kw * kh * i))];
      const input = Math.floor(channel / o) * i + c;
      let sum = 0;
      for (let image = 0; image < n; image++) {
        const plane = (image * groups * i + input) * ih * iw;
        const gradients = (image * groups * o + channel) * oh * ow;
        for (let y = 0; y < oh; y++) {
          const row = plane + (y * stride + ky * dilation) * iw + kx * dilation;
          for (let z = 0; z < ow; z++) sum += x![row + z * stride]! * dy![gradients + y * ow + z]!;
        }
      }
      return sum;
    },
  };
};

const sum: Make = (d, adapter) => {
  const [outputs, length, isInner] = [d.o!, d.n!, d.i === 1];
  // Neighbours are summed four at a time: a length counts those.
  const numbers = isInner ? 4 * length : length;
  const shape = { outputs, length, innermostReduced: isInner };
  return {
    ...choiceAt(variants.sum, adapter, shape),
    inputs: [outputs * numbers],
    outputs,
    record: (recorder, [x], out) =>
      reduceSum(recorder, {
        ...{ x: x!, out },
        shape: isInner ? [outputs, numbers] : [numbers, outputs],
        axes: [isInner ? 1 : 0],
      }),
    expected([x], index) {
      let total = 0;
      for (let i = 0; i < numbers; i++) total += x![isInner ? index * numbers + i : i * outputs + index]!;
      return total;
    },
  };
};

const softmaxOf: Make = (d, adapter) => {
  const lines = { lines: d.l!, length: d.n!, inner: 1 };
  return {
    ...choiceAt(variants.softmax, adapter, lines),
    inputs: [lines.lines * lines.length],
    outputs: lines.lines * lines.length,
    record: (recorder, [x], y) => softmax(recorder, { x: x!, y, log: false, lines }),
    expected([x], index) {
      const start = index - (index % lines.length);
      let total = 0;
      for (let i = 0; i < lines.length; i++) total += Math.exp(x![start + i]!);
      return Math.exp(x![index]!) / total;
    },
  };
};

const makers: Readonly<Record<string, Make>> = { product, conv, gradient, sum, softmax: softmaxOf, ...packed };
