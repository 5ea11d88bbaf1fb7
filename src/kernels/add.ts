import { addShader } from './generated/elementwise/add.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';

const WG = 64;

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
  recorder.dispatch(addShader, {
    operands: { a, b, out },
    args: { n: out.elements, alpha, beta },
    tunables: { WG },
    workgroups: grid(out.elements, WG),
    label,
  });
}
