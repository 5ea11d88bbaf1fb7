import { unaryShader } from './generated/elementwise/unary.ts';
import { unaryBackwardShader } from './generated/elementwise/unaryBackward.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';

/** Functions of one value, with the parameters `a` and `b` of some: LeakyRelu's slope, Clip's bounds. */
export const UNARY = { relu: 0, leakyRelu: 1, clip: 2, sigmoid: 3, tanh: 4, hardSwish: 5 } as const;
export type Unary = keyof typeof UNARY;

const WG = 64;

/** out = f(x), elementwise. */
export function unary(
  recorder: Recorder,
  { f, x, out, a = 0, b = 0 }: { f: Unary; x: Operand<'f32'>; out: Operand<'f32'>; a?: number; b?: number },
): void {
  recorder.dispatch(unaryShader, {
    operands: { x, out },
    args: { n: out.elements, a, b },
    tunables: { WG, OP: UNARY[f] },
    workgroups: grid(out.elements, WG),
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
  recorder.dispatch(unaryBackwardShader, {
    operands: { v, dy, dx },
    args: { n: dx.elements, a, b },
    tunables: { WG, OP: UNARY[f] },
    workgroups: grid(dx.elements, WG),
    label: `${f} backward`,
  });
}
