import type { DenseWeights } from './denseWeights.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import type { ProductVariant } from './productVariant.ts';

/** A grouped convolution without padding, over distances: a tap never leaves x. Lengths are in elements. */
export interface ValidConv {
  x: Operand<'f32'>;
  /** [groups · groupOut][groupIn · kh · kw] */
  weights: Operand<'f32'> | PackedOperand<DenseWeights>;
  bias?: Operand<'f32'> | undefined;
  /** Added before the bounds; laid out like `out`. */
  residual?: Operand<'f32'> | undefined;
  out: Operand<'f32'>;
  images: number;
  groups: number;
  /** Channels of one group. */
  groupOut: number;
  groupIn: number;
  kh: number;
  kw: number;
  /** Output rows and columns computed. */
  oh: number;
  ow: number;
  /** Distances in x of one image, channel, kernel row, kernel column, output row, output column. */
  xAt: { offset: number; image: number; channel: number; ky: number; kx: number; oy: number; ox: number };
  outAt: { offset: number; image: number; channel: number; oy: number; ox: number };
  weightsOffset?: number;
  lo?: number | undefined;
  hi?: number | undefined;
  /**
   * Ways that are faster for some, and all that are for adapters which run on a CPU: a module of its own, which pages
   * load where they may need it. Without it, tiles lie in workgroup memory.
   */
  alternatives?: ConvAlternatives | undefined;
  label: string;
}

/** All that the speed depends on: distances between taps, pixels read and pixels written included. */
export type ConvGeometry = Pick<
  ValidConv,
  'images' | 'groups' | 'groupOut' | 'groupIn' | 'kh' | 'kw' | 'oh' | 'ow' | 'xAt' | 'outAt'
> & {
  /** Whether half precision will do. */
  half?: boolean;
  /** Floats where it says nothing. */
  weights?: ValidConv['weights'] | Unpacking;
};

/** What it depends on how long packed weights take to unpack. */
export type Unpacking = Pick<DenseWeights, 'bits' | 'table' | 'group' | 'k'>;

/** Rather than floats, of 16 bits or 32. */
export function areCodes(weights: ConvGeometry['weights']): weights is Unpacking {
  return ((weights as Unpacking | undefined)?.bits ?? 32) < 16;
}

export type ConvVariant = ProductVariant | { kind: 'direct' };

export interface ConvPlan {
  variant: ConvVariant;
  tilesM: number;
  tilesN: number;
}

/** In place of a plan. */
export const WINOGRAD = 'winograd';
export const STRIPS = 'strips';
export const POINTWISE = 'pointwise';
export type FloatConvPlan = ConvPlan | typeof WINOGRAD | typeof STRIPS | typeof POINTWISE;

/** Records the convolution, if there is a better way for it than the rule's or, by measurement, than all others. */
export type ConvAlternatives = (recorder: Recorder, call: ValidConv, tuned: FloatConvPlan | undefined) => boolean;
