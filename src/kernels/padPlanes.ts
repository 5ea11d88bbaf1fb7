import { convPadShader } from './generated/conv/convPad.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';

const WG = 64;

/** Zeros around a plane, or, where negative, elements cut off. */
export interface PlanePadding {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

/**
 * x = [planes, h, w] with zeros around every plane: [planes, h + top + bottom, w + left + right]. Returns x itself where
 * nothing is to be padded.
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
): { operand: Operand<'f32'>; h: number; w: number } {
  const { top, left, bottom, right } = padding;
  if (top === 0 && left === 0 && bottom === 0 && right === 0) return { operand: x, h, w };
  const outH = h + top + bottom;
  const outW = w + left + right;
  const size = planes * outH * outW;
  const out = recorder.temporary('f32', size, label);
  const quads = Math.ceil(size / 4);
  const QUADS = recorder.capabilities.kind === 'cpu' ? 16 : 1;
  recorder.dispatch(convPadShader, {
    operands: { x, out },
    args: { h, w, out_h: outH, out_w: outW, quads, top, left },
    tunables: { WG, QUADS },
    workgroups: grid(quads, QUADS * WG),
    label,
  });
  return { operand: out, h: outH, w: outW };
}
