import { type ConvGeometry, type FloatConvPlan, type ValidConv, WINOGRAD } from './convCall.ts';
import type { Recorder } from './kernel.ts';
import { type Adapter, cutProduct } from './productVariant.ts';
import { areStripsFaster, isLongRun, stripTiles } from './stripsChoice.ts';

/** Of a transformed tile, 4 × 4. */
export const POSITIONS = 16;

/** 3 × 3 taps, one apart, at every pixel, and results that lie without gaps. */
export function suitsWinograd({ groups, kh, kw, xAt, outAt }: Omit<ConvGeometry, 'groupOut' | 'groupIn'>): boolean {
  return groups === 1 && kh === 3 && kw === 3 && xAt.kx === 1 && xAt.ox === 1 && xAt.ky === xAt.oy && outAt.ox === 1;
}

/** Numbers of an image that has been transformed, of one channel: whole quads of tiles. */
export function transformedPlane({ oh, ow }: { oh: number; ow: number }): number {
  return POSITIONS * 4 * Math.ceil((Math.ceil(oh / 2) * Math.ceil(ow / 2)) / 4);
}

/**
 * Whether the weights are transformed once for all runs. Packed ones are not: as floats they would take the memory that
 * packing them saves.
 */
export function areConstant(
  recorder: Pick<Recorder, 'isConstant'>,
  { weights, weightsOffset = 0 }: Pick<ValidConv, 'weights' | 'weightsOffset'>,
): boolean {
  return 'dtype' in weights && weightsOffset === 0 && recorder.isConstant?.(weights) === true;
}

/**
 * In multiply-adds of a product, as measured on SwiftShader (subgroups of four) and lavapipe (of eight) with 3 to 512
 * channels: what one of the 16 products, the transforms of a pixel and of a kernel, and a dispatch more for each take.
 */
const COSTS = {
  four: { product: 0.67, pixel: 62, weight: 150, dispatch: 0.4e6 },
  eight: { product: 1, pixel: 45, weight: 400, dispatch: 0.75e6 },
};

/**
 * Whether Winograd's way takes less time than the best of the others, on adapters that run on a CPU. Nothing is known of
 * GPUs, where it is left to tuning.
 * @param isConstant the weights are transformed once for all runs
 */
export function isWinogradFaster(adapter: Adapter, geometry: ConvGeometry, isConstant = false): boolean {
  const { images, groupOut: m, groupIn: k, oh, ow } = geometry;
  if (adapter.kind !== 'cpu' || !suitsWinograd(geometry)) return false;
  const pixels = images * oh * ow;
  const straight = cutProduct(adapter, m, pixels);
  const tiles = cutProduct(adapter, m, images * (transformedPlane(geometry) / POSITIONS));
  if (straight.variant.kind !== 'subgroup') return false;
  const { subgroup } = straight.variant;
  if (subgroup < 8 && !isLongRun(geometry)) return false;
  const lanes = 4 * subgroup;
  const costs = COSTS[subgroup < 8 ? 'four' : 'eight'];
  const ofWeights = isConstant ? 0 : costs.weight * m * k + costs.dispatch;
  const transforms = costs.pixel * pixels * (k + m) + ofWeights + costs.dispatch;
  const strips = areStripsFaster(adapter, geometry) ? stripTiles(adapter, geometry) : undefined;
  const best = Math.min(9 * k * straight.cost, 4 * (strips?.cost ?? Number.POSITIVE_INFINITY));
  return costs.product * POSITIONS * 4 * Math.ceil(k / 4) * tiles.cost * lanes + transforms < best * lanes;
}

/** Whether to go Winograd's way: as measured, or by the rule, and where what it keeps between dispatches can be bound. */
export function takesWinograd(
  recorder: Pick<Recorder, 'capabilities' | 'isConstant'>,
  geometry: ConvGeometry & Pick<ValidConv, 'weights' | 'weightsOffset'>,
  tuned: FloatConvPlan | undefined,
): boolean {
  const { groupOut: m, groupIn: k } = geometry;
  const { capabilities } = recorder;
  // The weights, and one image at a time.
  const numbers = Math.max(POSITIONS * m * (k + 3), Math.max(m, k) * transformedPlane(geometry));
  if (!suitsWinograd(geometry) || 4 * numbers > capabilities.maxBindingBytes) return false;
  return tuned === undefined
    ? isWinogradFaster(capabilities, geometry, areConstant(recorder, geometry))
    : tuned === WINOGRAD;
}
