import { unaryBackwardShader, unaryShader } from './generated/elementwise.ts';
import type { Operand, Recorder } from './kernel.ts';
import { spreadElements } from './spread.ts';

/** Functions of one value, with the parameters `a` and `b` of some: LeakyRelu's slope, Clip's bounds. */
export const UNARY = { relu: 0, leakyRelu: 1, clip: 2, sigmoid: 3, tanh: 4, hardSwish: 5 } as const;
export type Unary = keyof typeof UNARY;

/** out = f(x), elementwise. */
export function unary(
  recorder: Recorder,
  { f, x, out, a = 0, b = 0 }: { f: Unary; x: Operand<'f32'>; out: Operand<'f32'>; a?: number; b?: number },
): void {
  const { args, tunables, workgroups } = spreadElements(recorder.capabilities, out.elements);
  recorder.dispatch(unaryShader, {
    operands: { x, out },
    args: { ...args, a, b },
    tunables: { ...tunables, OP: UNARY[f] },
    workgroups,
    label: f,
  });
}

/** dx = dy·f′. `v` is f's result for sigmoid and tanh (and may be for relu), its argument for the others. */
export function unaryBackward(
  recorder: Recorder,
  {
    f,
    v,
    dy,
    dx,
    a = 0,
    b = 0,
  }: { f: Unary; v: Operand<'f32'>; dy: Operand<'f32'>; dx: Operand<'f32'>; a?: number; b?: number },
): void {
  const { args, tunables, workgroups } = spreadElements(recorder.capabilities, dx.elements);
  recorder.dispatch(unaryBackwardShader, {
    operands: { v, dy, dx },
    args: { ...args, a, b },
    tunables: { ...tunables, OP: UNARY[f] },
    workgroups,
    label: `${f} backward`,
  });
}
