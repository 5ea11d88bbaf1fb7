import { convPadRowsShader, convPadShader } from './generated/conv.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { spread } from './spread.ts';

const WG = 64;

/** Zeros around a plane, or, where negative, elements cut off. */
export interface PlanePadding {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

/** Padded planes: [planes, h, w]. */
export interface PaddedPlanes {
  operand: Operand<'f32'>;
  h: number;
  w: number;
}

/**
 * x = [planes, h, w] with zeros around every plane: [planes, h + top + bottom, w + left + right], and up to three columns of
 * zeros more on CPU adapters. Returns x itself where nothing is to be padded.
 */
export function padPlanes(
  recorder: Recorder,
  {
    x,
    planes,
    h,
    w,
    padding,
    label,
  }: { x: Operand<'f32'>; planes: number; h: number; w: number; padding: PlanePadding; label: string },
): PaddedPlanes {
  const { top, left, bottom, right } = padding;
  if (top === 0 && left === 0 && bottom === 0 && right === 0) return { operand: x, h, w };
  const outH = h + top + bottom;
  // Rows of whole vectors, where those are read as such (see conv_strips).
  const unit = recorder.capabilities.kind === 'cpu' ? 4 : 1;
  const outW = Math.ceil((w + left + right) / unit) * unit;
  const size = planes * outH * outW;
  const out = recorder.temporary('f32', size, label);
  if (recorder.capabilities.kind === 'cpu') {
    const lanes = w % 4 === 0 && left >= 0 && right >= 0 ? 4 : 1;
    const { wg, span, workgroups } = spread(recorder.capabilities, planes * outH);
    const first = Math.min(Math.max(left, 0), outW);
    const after = Math.max(first, Math.min(left + w, outW));
    recorder.dispatch(convPadRowsShader, {
      operands: { x, out },
      args: {
        ...{ n: planes * outH, span, h, out_h: outH, out_w: outW, top },
        ...{ units: w / lanes, first, after, skipped: Math.max(-left, 0) },
      },
      tunables: { WG: wg, T: lanes === 4 ? 'vec4f' : 'f32', LANES: lanes },
      workgroups,
      label,
    });
  } else {
    const quads = Math.ceil(size / 4);
    recorder.dispatch(convPadShader, {
      operands: { x, out },
      args: { h, w, out_h: outH, out_w: outW, quads, top, left },
      tunables: { WG },
      workgroups: grid(quads, WG),
      label,
    });
  }
  return { operand: out, h: outH, w: outW };
}
