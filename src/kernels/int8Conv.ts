import type { ConvShape } from './convShape.ts';
import { int8ConvDepthwiseShader, int8ConvGroupedShader } from './generated/int8.ts';
import { withDot } from './int8Dot.ts';
import { type Int8Output, outputOf } from './int8Output.ts';
import { planesHeight, planesWidth, type QuantizedPlanes } from './int8Planes.ts';
import { int8Product } from './int8Product.ts';
import { int8Adapter, int8Tiles } from './int8Tiles.ts';
import type { Int8Weights } from './int8Weights.ts';
import type { Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import type { TileCount } from './productVariant.ts';
import { spread } from './spread.ts';

export interface Int8Conv extends Int8Output {
  x: QuantizedPlanes;
  weights: PackedOperand<Int8Weights>;
  shape: ConvShape;
}

/** What a measured cut of tiles depends on. */
export type Int8ConvShape = ConvShape & Pick<Int8Weights, 'bits'>;

/**
 * `tiles`: an implicit matrix product, whose words of four input channels must not straddle groups, nor those of the
 * output. `depthwise`: a word is four groups. `grouped`: everything else.
 */
export function chooseInt8Conv({
  ic,
  oc,
  groups,
}: Pick<ConvShape, 'ic' | 'oc' | 'groups'>): 'tiles' | 'depthwise' | 'grouped' {
  if (groups === 1) return 'tiles';
  const groupIn = ic / groups;
  const groupOut = oc / groups;
  if (groupIn === 1 && groupOut === 1) return 'depthwise';
  return groupIn % 4 === 0 && groupOut % 4 === 0 ? 'tiles' : 'grouped';
}

/** out = clamp(x * W + bias + residual) with both operands quantized; the sums are exact in int32. */
export function int8Conv(recorder: Recorder, call: Int8Conv): void {
  const { x, weights, shape, out, codes, label = 'int8 convolution' } = call;
  const { n, ic, oc, oh, ow, kh, kw, strideH, strideW, dilH, dilW, groups } = shape;
  if (n * oc * oh * ow === 0) return;
  if (weights.rows !== oc || weights.groups !== groups || weights.k * groups !== ic * kh * kw) {
    throw new Error(`${label}: weights of ${weights.rows} × ${weights.k} for ${oc} × ${(ic / groups) * kh * kw}`);
  }
  if (weights.taps !== kh * kw) throw new Error(`${label}: weights packed for ${weights.taps} taps, not ${kh * kw}`);
  const onePixel = x.h * x.w * kh * kw * groups === 1 && planesHeight(x) * planesWidth(x) === 1;
  if (onePixel && ic % 16 === 0 && out && !codes) {
    // Images of one pixel are the rows of a dense layer, if these are whole fours of words.
    int8Product(recorder, { ...call, x: { ...x, m: n, k: ic, rowWords: ic / 4 }, out, m: n, label });
    return;
  }
  const rowWords = planesWidth(x);
  const planeWords = planesHeight(x) * rowWords;
  const xAt = {
    offset: offsetInPlanes(x, shape, label),
    word: planeWords,
    ky: dilH * rowWords,
    kx: dilW,
    image: Math.ceil(ic / 4) * planeWords,
    oy: strideH * rowWords,
    ox: strideW,
  };
  const images = { n, channels: oc, h: oh, w: ow };
  const kind = chooseInt8Conv(shape);
  if (kind === 'tiles') {
    const adapter = int8Adapter(recorder, call.processor);
    const cut = adapter.tuned?.choose<TileCount>('int8conv', adapter, { ...shape, bits: weights.bits });
    int8Tiles(recorder, { ...call, shape: images, kw, xAt, cut, label });
    return;
  }
  const output = outputOf(recorder, images, { ...call, label });
  const operands = { x: x.operand, weights: weights.operand, ...output.operands };
  const words = Math.ceil(oc / 4);
  const pixelQuads = Math.ceil((oh * ow) / 4);
  const size = n * words * (kind === 'depthwise' ? pixelQuads : oh * ow);
  const { wg, span, workgroups } = spread(recorder.capabilities, size);
  const args = {
    ...{ size, span, channels: oc, kh, kw },
    ...{ x_offset: xAt.offset, x_channel: xAt.word, x_ky: xAt.ky, x_kx: xAt.kx },
    ...{ x_image: xAt.image, x_oy: xAt.oy, x_ox: xAt.ox, ow, ohw: oh * ow },
    ...{ scales: weights.at.scales, sums: weights.at.sums, zero: 0 - x.shift, x_scale: x.scale },
    ...output.args,
  };
  const work = { ops: 2 * oc * weights.k * n * oh * ow };
  if (kind === 'depthwise') {
    recorder.dispatch(int8ConvDepthwiseShader, {
      operands,
      args: { ...args, channel_words: words, quads: pixelQuads },
      tunables: { STRIP: ow % 4 === 0 && strideW === 1 && dilW === 1 ? kw : 0, WG: wg },
      workgroups,
      work,
      label,
    });
  } else {
    const groupIn = ic / groups;
    recorder.dispatch(withDot(int8ConvGroupedShader, recorder.capabilities), {
      operands,
      args: {
        ...args,
        quads: words,
        m: oc / groups,
        group_in: groupIn,
        group_words: Math.ceil(groupIn / 4),
        channel_words: Math.ceil(ic / 4),
        w_group: weights.groupWords,
      },
      tunables: { WG: wg, BITS: weights.bits },
      workgroups,
      work,
      label,
    });
  }
}

/** Where the convolution's padded input begins in planes that may have a wider border; refuses a narrower one. */
function offsetInPlanes(x: QuantizedPlanes, shape: ConvShape, label: string): number {
  const { n, ic, ih, iw, oh, ow, kh, kw, strideH, strideW, dilH, dilW, padTop, padLeft } = shape;
  if (x.n !== n || x.channels !== ic || x.h !== ih || x.w !== iw) {
    throw new Error(`${label}: planes of ${[x.n, x.channels, x.h, x.w].join('×')} for ${[n, ic, ih, iw].join('×')}`);
  }
  const bottom = (oh - 1) * strideH + (kh - 1) * dilH + 1 - padTop - ih;
  const right = (ow - 1) * strideW + (kw - 1) * dilW + 1 - padLeft - iw;
  const { padding } = x;
  if (padding.top < padTop || padding.left < padLeft || padding.bottom < bottom || padding.right < right) {
    throw new Error(`${label}: the planes' border is narrower than its padding`);
  }
  return (padding.top - padTop) * planesWidth(x) + padding.left - padLeft;
}
