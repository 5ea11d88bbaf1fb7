import { addShader } from './generated/elementwise.ts';
import type { Operand, Recorder } from './kernel.ts';
import { spreadElements } from './spread.ts';

/** out = alpha·a + beta·b, elementwise over equal shapes. */
export function add(
  recorder: Recorder,
  {
    a,
    b,
    out,
    alpha = 1,
    beta = 1,
    label,
  }: { a: Operand<'f32'>; b: Operand<'f32'>; out: Operand<'f32'>; alpha?: number; beta?: number; label?: string },
): void {
  const { args, tunables, workgroups } = spreadElements(recorder.capabilities, out.elements);
  recorder.dispatch(addShader, {
    operands: { a, b, out },
    args: { ...args, alpha, beta },
    tunables,
    workgroups,
    label,
  });
}
