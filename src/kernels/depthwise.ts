import type { ConvGeometry, ValidConv } from './convCall.ts';
import { bindWeights } from './denseWeights.ts';
import { convDepthwiseShader } from './generated/depthwise.ts';
import type { Recorder } from './kernel.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';
import { spread } from './spread.ts';

/** Kernel rows and columns of which the shader keeps the taps. */
const MOST_TAPS = 7;
/** Rows of an invocation's column of quads: a GPU has to be kept busy, a processor is so by channels. */
const ROWS_ON_GPU = 4;

/** One input channel to a group, pixels and taps one apart, rows of four pixels or more. */
export function suitsDepthwise({ groupIn, kh, kw, ow, xAt }: ConvGeometry): boolean {
  const isSmall = Math.min(kh, kw) > 0 && Math.max(kh, kw) <= MOST_TAPS;
  return groupIn === 1 && isSmall && ow >= 4 && xAt.ox === 1 && xAt.kx === 1 && xAt.oy === xAt.ky;
}

export function depthwiseConv(recorder: Recorder, call: ValidConv): void {
  const { capabilities } = recorder;
  const { x, bias, residual, out, images, groups, groupOut, kh, kw, oh, ow, xAt, outAt, label } = call;
  const oc = groups * groupOut;
  const weights = bindWeights(call.weights, { rows: oc, k: kh * kw, offset: call.weightsOffset });
  const columns = Math.ceil(ow / 4);
  const rows = capabilities.kind === 'cpu' ? oh : ROWS_ON_GPU;
  const planeColumns = columns * Math.ceil(oh / rows);
  const size = images * oc * planeColumns;
  const { wg, span, workgroups } = spread(capabilities, size);
  recorder.dispatch(convDepthwiseShader, {
    operands: { x, weights: weights.operand, bias: bias ?? x, residual: residual ?? x, out },
    args: {
      ...weights.args,
      ...{ oc, group_oc: groupOut, oh, ow, columns, rows, plane_columns: planeColumns, size, span },
      x_channel: xAt.channel,
      x_offset: xAt.offset,
      x_image: xAt.image,
      x_row: xAt.oy,
      out_offset: outAt.offset,
      out_image: outAt.image,
      out_channel: outAt.channel,
      out_oy: outAt.oy,
      out_ox: outAt.ox,
      bias: bias ? 1 : 0,
      lo: call.lo ?? LOWEST,
      hi: call.hi ?? HIGHEST,
    },
    tunables: { ...weights.tunables, RESIDUAL: residual !== undefined, WG: wg, KH: kh, KW: kw },
    workgroups,
    work: { flops: 2 * images * oc * oh * ow * kh * kw },
    label,
  });
}
