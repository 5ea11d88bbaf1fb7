import type { Capabilities } from '../gpu/capabilities.ts';
import {
  areCodes,
  type ConvGeometry,
  type ConvPlan,
  type ConvVariant,
  type FloatConvPlan,
  type ValidConv,
} from './convCall.ts';
import { bindWeights } from './denseWeights.ts';
import { convDirectShader, convTiledShader } from './generated/conv.ts';
import { grid, type Recorder } from './kernel.ts';
import { type Adapter, cutProduct, inHalf, tiledTunables } from './productVariant.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';
import { spread } from './spread.ts';

/**
 * Groups of fewer than four output channels (depthwise) leave a product's tiles mostly empty and are summed directly;
 * everything else is an implicit matrix product of m = output channels of a group, n = output pixels of the batch.
 */
export function chooseConv(adapter: Adapter, shape: ConvTiles): ConvVariant {
  return planConv(adapter, shape).variant;
}

export interface ConvTiles {
  groups: number;
  m: number;
  n: number;
  half?: boolean | undefined;
  weights?: ConvGeometry['weights'];
}

export const DIRECT_CONV: ConvPlan = { variant: { kind: 'direct' }, tilesM: 0, tilesN: 0 };

/** Whether the choice, the rule's where nothing was measured, is the direct sum. */
export function isDirect({ groups, groupOut }: ConvGeometry, tuned: FloatConvPlan | undefined): boolean {
  if (typeof tuned !== 'object') return groups > 1 && groupOut < 4;
  return tuned.variant.kind === 'direct';
}

export function planConv(adapter: Adapter, { groups, m, n, half, weights }: ConvTiles): ConvPlan {
  if (groups > 1 && m < 4) return DIRECT_CONV;
  // By codes, tiles of sixteen rows were measured on SwiftShader (subgroups of four) to take up to 1.6 times as long as two of
  // eight: but not with few terms, where they save beginnings and ends, nor where codes lie in several planes (3, 5, 6 and 7
  // bits), which tiles of eight take 1.2 to 1.5 times as long to unpack.
  const isLower = adapter.subgroupSize === 4 && areCodes(weights) && weights.k > 80 && 8 % weights.bits === 0;
  const cut = cutProduct(adapter, m, n, isLower ? [8, 4] : undefined);
  return half ? inHalf(cut) : cut;
}

export function validConv(recorder: Recorder, call: ValidConv): void {
  const { images, groupOut, oh, ow } = call;
  if (groupOut * images * oh * ow === 0) return;
  plannedConv(recorder, call, tunedConv(recorder, call));
}

/** What was measured to be the fastest; undefined leaves it to the rule. */
export function tunedConv({ capabilities }: Recorder, geometry: ConvGeometry): FloatConvPlan | undefined {
  const half = capabilities.precision === 'f16';
  return capabilities.tuned?.choose<FloatConvPlan>('conv', capabilities, { ...geometry, half });
}

/** As it was measured to be the fastest, or by the rule. */
export function plannedConv(recorder: Recorder, call: ValidConv, tuned: FloatConvPlan | undefined): void {
  const { images, groups, groupOut: m, oh, ow } = call;
  const n = images * oh * ow;
  const half = recorder.capabilities.precision === 'f16';
  if (call.alternatives?.(recorder, call, tuned)) return;
  // Tiles of subgroups are one of the alternatives; adapters of every kind have those in workgroup memory.
  const plan =
    typeof tuned === 'object' && tuned.variant.kind !== 'subgroup'
      ? tuned
      : planConv({ kind: 'gpu', subgroupSize: undefined }, { groups, m, n, half });
  if (plan.variant.kind === 'tiled') tiledConv(recorder, call, plan.variant, plan);
  else directConv(recorder, call);
}

/** What every kernel takes of a convolution. */
function convDispatch(call: ValidConv) {
  const { x, bias, residual, out, images, groups, groupOut, groupIn, kh, kw, oh, ow, xAt, outAt, label } = call;
  const k = groupIn * kh * kw;
  const weights = bindWeights(call.weights, { rows: groups * groupOut, k, offset: call.weightsOffset });
  return {
    operands: { x, weights: weights.operand, bias: bias ?? x, residual: residual ?? x, out },
    places: {
      x_channel: xAt.channel,
      x_ky: xAt.ky,
      x_kx: xAt.kx,
      x_offset: xAt.offset,
      x_image: xAt.image,
      x_oy: xAt.oy,
      x_ox: xAt.ox,
      ow,
      ohw: oh * ow,
      out_offset: outAt.offset,
      out_image: outAt.image,
      out_channel: outAt.channel,
      out_oy: outAt.oy,
      out_ox: outAt.ox,
      ...weights.args,
      bias: bias ? 1 : 0,
      lo: call.lo ?? LOWEST,
      hi: call.hi ?? HIGHEST,
    },
    tunables: { ...weights.tunables, RESIDUAL: residual !== undefined },
    work: { flops: 2 * groupOut * images * oh * ow * groups * k },
    label,
  };
}

/** The same, as an implicit product that is cut into tiles. */
export function convProduct(call: ValidConv, { tilesM, tilesN }: Pick<ConvPlan, 'tilesM' | 'tilesN'>) {
  const { images, groups, groupOut, groupIn, kh, kw, oh, ow, xAt } = call;
  const { places, ...dispatch } = convDispatch(call);
  return {
    ...dispatch,
    args: {
      ...places,
      m: groupOut,
      n: images * oh * ow,
      k: groupIn * kh * kw,
      // A phase of a strided gradient may have no tap at all; divisions by its sizes are never used, but must be defined.
      kw: Math.max(1, kw),
      khw: Math.max(1, kh * kw),
      x_group: groupIn * xAt.channel,
      tiles_m: tilesM,
      group_workgroups: tilesM * tilesN,
      groups,
    },
    workgroups: grid(tilesM * tilesN * groups, 1),
  };
}

function tiledConv(
  recorder: Recorder,
  call: ValidConv,
  variant: Extract<ConvVariant, { kind: 'tiled' }>,
  tiles: Pick<ConvPlan, 'tilesM' | 'tilesN'>,
): void {
  const product = convProduct(call, tiles);
  const { tunables } = product;
  recorder.dispatch(convTiledShader, {
    ...product,
    tunables: {
      ...tunables,
      ...tiledTunables(variant),
      Weights4: variant.half ? 'vec4h' : tileOfWeights(recorder.capabilities, tunables),
      Pixels4: variant.half ? 'vec4h' : 'vec4f',
    },
  });
}

function directConv(recorder: Recorder, call: ValidConv): void {
  const { images, groups, groupOut, groupIn, kh, kw, oh, ow, xAt } = call;
  const { places, tunables, ...dispatch } = convDispatch(call);
  const quads = Math.ceil((oh * ow) / 4);
  const size = images * groups * groupOut * quads;
  const { wg, span, workgroups } = spread(recorder.capabilities, size);
  recorder.dispatch(convDirectShader, {
    ...dispatch,
    args: { ...places, oc: groups * groupOut, group_oc: groupOut, group_ic: groupIn, quads, size, span },
    tunables: { ...tunables, WG: wg, KH: kh, KW: kw, STRIP: kw > 0 && ow % 4 === 0 && xAt.ox === 1 && xAt.kx === 1 },
    workgroups,
  });
}

/** Element of the tile of weights: half-precision where that holds them exactly and the adapter has it. */
export function tileOfWeights(
  { f16 }: Pick<Capabilities, 'f16'>,
  { BITS }: { BITS?: number | undefined },
): 'vec4f' | 'vec4h' {
  return f16 && BITS === 16 ? 'vec4h' : 'vec4f';
}
