import { type ConvAlternatives, type ConvGeometry, type FloatConvPlan, POINTWISE, type ValidConv } from './convCall.ts';
import type { Recorder } from './kernel.ts';
import { type MatrixView, matmul, matrix, type ProductAlternatives } from './matmul.ts';
import type { Adapter } from './productVariant.ts';

/**
 * For `ValidConv.alternatives`: convolutions of single pixels as products of matrices, weights by the pixels of an image.
 * @param products as `MatmulCall.alternatives`
 */
export function pointwise(products?: ProductAlternatives): ConvAlternatives {
  return (recorder, call, tuned) => {
    if (!takesPointwise(recorder.capabilities, call, tuned)) return false;
    const { weights, weightsOffset: offset, groupIn } = call;
    recordPointwise(recorder, call, { ...matrix(weights as ValidConv['x'], groupIn), offset }, products);
    return true;
  };
}

/** @param weights [groupOut, groupIn], however they lie */
export function recordPointwise(
  recorder: Recorder,
  call: Omit<ValidConv, 'weights'>,
  weights: MatrixView,
  products: ProductAlternatives | undefined,
): void {
  const { x, bias, out, images, groupOut, groupIn, oh, ow, xAt, outAt, lo, hi, label } = call;
  matmul(recorder, {
    ...{ m: groupOut, n: oh * ow, k: groupIn, batches: images, lo, hi, label },
    a: weights,
    b: { operand: x, rowStride: xAt.channel, columnStride: 1, offset: xAt.offset, batchStride: xAt.image },
    out: { operand: out, rowStride: outAt.channel, columnStride: 1, offset: outAt.offset, batchStride: outAt.image },
    bias: bias && { operand: bias, rowStride: 1, columnStride: 0 },
    alternatives: products,
  });
}

/** One tap, one group, and planes without gaps, of x and of the result. */
export function suitsPointwise({ groups, kh, kw, oh, ow, groupOut, images, xAt, outAt }: ConvGeometry): boolean {
  const isPixel = groups === 1 && kh === 1 && kw === 1;
  const readsRuns = xAt.ox === 1 && (oh === 1 || xAt.oy === ow);
  const writesRuns = outAt.ox === 1 && (oh === 1 || outAt.oy === ow) && outAt.channel === oh * ow;
  return isPixel && readsRuns && writesRuns && (images === 1 || outAt.image === groupOut * oh * ow);
}

export function takesPointwise(
  adapter: Adapter,
  call: ConvGeometry & Pick<Partial<ValidConv>, 'residual'>,
  tuned: FloatConvPlan | undefined,
): boolean {
  // A product has no place for what a result is added to, and packed weights are not unpacked there.
  const isPlain = call.residual === undefined && (call.weights === undefined || 'dtype' in call.weights);
  if (!isPlain || !suitsPointwise(call)) return false;
  return tuned === undefined ? isPointwiseFaster(adapter, call) : tuned === POINTWISE;
}

/**
 * Measured on lavapipe and SwiftShader: 1.1 to 1.7 times as fast as tiles of a convolution, and up to 2.5 of few channels.
 * But these go on from one image to the next, where a product begins again. Of GPUs nothing was measured.
 */
export function isPointwiseFaster(
  { kind, subgroupSize = 0 }: Adapter,
  { images, oh, ow }: Pick<ConvGeometry, 'images' | 'oh' | 'ow'>,
): boolean {
  const columns = (pixels: number) => Math.ceil(pixels / (4 * subgroupSize));
  return kind === 'cpu' && subgroupSize > 0 && images * columns(oh * ow) <= 1.2 * columns(images * oh * ow);
}
