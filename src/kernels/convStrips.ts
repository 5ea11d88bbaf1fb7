import type { ValidConv } from './convCall.ts';
import { bindWeights } from './denseWeights.ts';
import { convStripsShader } from './generated/processor.ts';
import { grid, type Recorder } from './kernel.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';
import { isAligned, stripTiles } from './stripsChoice.ts';

/**
 * A convolution whose taps of one kernel row are loaded once for four pixels: for adapters that run on a CPU, and for
 * what `suitsStrips`.
 */
export function stripsConv(recorder: Recorder, call: ValidConv): void {
  const { x, bias, residual, out, images, groups, groupOut, groupIn, kh, kw, oh, ow, xAt, outAt, label } = call;
  const tiles = stripTiles(recorder.capabilities, call);
  if (tiles === undefined) throw new RangeError(`${label}: the adapter has no strips for this convolution`);
  const weights = bindWeights(call.weights, {
    rows: groups * groupOut,
    k: groupIn * kh * kw,
    offset: call.weightsOffset,
  });
  const { subgroup, rows, quads, tilesM, tilesN, columns } = tiles;
  const aligned = isAligned(xAt);
  const unit = aligned ? 4 : 1;
  recorder.dispatch(convStripsShader, {
    operands: { x, x4: x, weights: weights.operand, bias: bias ?? x, residual: residual ?? x, out },
    args: {
      m: groupOut,
      group_ic: groupIn,
      groups,
      x_offset: xAt.offset / unit,
      x_image: xAt.image / unit,
      x_channel: xAt.channel / unit,
      x_ky: xAt.ky / unit,
      x_oy: xAt.oy / unit,
      ow,
      oh,
      quads: Math.ceil(ow / 4),
      columns,
      out_offset: outAt.offset,
      out_image: outAt.image,
      out_channel: outAt.channel,
      out_oy: outAt.oy,
      out_ox: outAt.ox,
      ...weights.args,
      tiles_m: tilesM,
      group_workgroups: tilesM * tilesN,
      bias: bias ? 1 : 0,
      lo: call.lo ?? LOWEST,
      hi: call.hi ?? HIGHEST,
    },
    tunables: {
      ...weights.tunables,
      SUBGROUP: subgroup,
      ROWS: rows,
      QUADS: quads,
      ALIGNED: aligned,
      KH: kh,
      KW: kw,
      RESIDUAL: residual !== undefined,
    },
    workgroups: grid(tilesM * tilesN * groups, 1),
    work: { flops: 2 * groupOut * images * oh * ow * groups * groupIn * kh * kw },
    label,
  });
}
