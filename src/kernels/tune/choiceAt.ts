/** What the makers of subjects have in common. */
import type { Adapter, Variants } from './candidates.ts';
import type { TuneSubject } from './measure.ts';

/** A subject by the numbers of its key. */
export type Make = (dims: Record<string, number>, adapter: Adapter) => TuneSubject | undefined;

/** The key, and the ids with the rule's choice first. */
export function choiceAt<Shape extends object, Plan>(
  kernel: Variants<Shape, Plan>,
  adapter: Adapter,
  shape: Shape,
): Pick<TuneSubject, 'key' | 'candidates'> {
  const candidates = kernel.candidates(adapter, shape);
  const same = JSON.stringify(kernel.rule(adapter, shape));
  const first = candidates.find(({ value }) => JSON.stringify(value) === same);
  const ids = candidates.map(({ id }) => id);
  return {
    key: kernel.key(shape),
    candidates: first ? [first.id, ...ids.filter((id) => id !== first.id)] : ids,
  };
}

/**
 * For a key that has half precision among its variants. Rounding the inputs and the sums of a few products to half moved
 * a result by 3e-4 to 2e-3 of the largest one. Winograd's products are in half precision there, too.
 */
export const HALF = {
  precision: 'f16' as const,
  toleranceOf: (id: string) => (/f16|winograd/.test(id) ? 2 ** -7 : 1e-4),
};

/** A convolution's, as keys name them. */
export interface ConvDims {
  /** Groups, and output and input channels of each. */
  g: number;
  o: number;
  i: number;
  kh: number;
  kw: number;
  oh: number;
  ow: number;
}

/** One element of a convolution's [n][g · o][oh][ow] in float64; `at` gives x by image, channel, and output pixel and tap. */
export function convElement(
  { g, o, i, kh, kw, oh, ow }: ConvDims,
  index: number,
  weights: ArrayLike<number>,
  at: (image: number, channel: number, row: number, column: number, ky: number, kx: number) => number,
): number {
  const image = Math.floor(index / (g * o * oh * ow));
  const channel = Math.floor(index / (oh * ow)) % (g * o);
  const [row, column] = [Math.floor(index / ow) % oh, index % ow];
  const firstInput = Math.floor(channel / o) * i;
  let sum = 0;
  for (let c = 0; c < i; c++) {
    for (let ky = 0; ky < kh; ky++) {
      for (let kx = 0; kx < kw; kx++) {
        const weight = weights[((channel * i + c) * kh + ky) * kw + kx]!;
        sum += at(image, firstInput + c, row, column, ky, kx) * weight;
      }
    }
  }
  return sum;
}
