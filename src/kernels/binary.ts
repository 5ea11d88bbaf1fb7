import { LimitError } from '../gpu/errors.ts';
import { binaryShader } from './generated/elementwise.ts';
import type { Operand, Recorder } from './kernel.ts';
import { spreadElements } from './spread.ts';
import { type BroadcastAxis, mergeBroadcast } from './strides.ts';

/** `left` is the left operand alone. */
export const BINARY = { add: 0, sub: 1, mul: 2, div: 3, left: 4 } as const;
export type Binary = keyof typeof BINARY;

const MAX_AXES = 8;

/** How an operand's element is found from the output's number i: itself, (i / div) % mod, or by strides. */
export type OperandMap = { map: 0 } | { map: 1; div: number; mod: number } | { map: 2 };

/** The cheapest map of operand `a` or `b`. */
export function operandMap(axes: readonly BroadcastAxis[], operand: 'a' | 'b'): OperandMap {
  const own = axes.filter((axis) => axis[operand] > 0);
  if (own.length === axes.length) return { map: 0 };
  if (own.length === 0) return { map: 1, div: 1, mod: 1 };
  if (own.length > 1) return { map: 2 };
  const inner = axes.slice(0, axes.indexOf(own[0]!)).reduce((product, { size }) => product * size, 1);
  return { map: 1, div: inner, mod: own[0]!.size };
}

interface Broadcast {
  f: Binary;
  a: Operand<'f32'>;
  b: Operand<'f32'>;
  out: Operand<'f32'>;
  aShape: readonly number[];
  bShape: readonly number[];
  /** What a and b broadcast to. */
  shape: readonly number[];
  scale?: number;
  /** The result is clamped to them. */
  bounds?: { lo: number; hi: number } | undefined;
  label?: string;
}

/** out = scale·(a f b) with NumPy's multidirectional broadcasting. */
export function binary(
  recorder: Recorder,
  { f, a, b, out, aShape, bShape, shape, scale = 1, bounds, label = f }: Broadcast,
): void {
  if (out.elements === 0) return;
  const axes = mergeBroadcast(aShape, bShape, shape);
  if (axes.length > MAX_AXES) {
    throw new LimitError(
      `[${aShape}] and [${bShape}] broadcast over ${axes.length} alternating groups of axes; at most ${MAX_AXES} are supported`,
    );
  }
  const [aMap, bMap] = [operandMap(axes, 'a'), operandMap(axes, 'b')];
  const strided = aMap.map === 2 || bMap.map === 2;
  const { div: a_div = 1, mod: a_mod = 1 } = aMap as { div?: number; mod?: number };
  const { div: b_div = 1, mod: b_mod = 1 } = bMap as { div?: number; mod?: number };
  const size = (i: number) => axes[i]?.size ?? 1;
  const aStride = (i: number) => axes[i]?.a ?? 0;
  const bStride = (i: number) => axes[i]?.b ?? 0;
  const isPlain = aMap.map === 0 && bMap.map === 0;
  const { args, tunables, workgroups } = spreadElements(recorder.capabilities, out.elements, isPlain);
  recorder.dispatch(binaryShader, {
    operands: { a, b, out },
    args: {
      ...args,
      ...{ scale, lo: bounds?.lo ?? 0, hi: bounds?.hi ?? 0, a_div, a_mod, b_div, b_mod },
      ...{ d0: size(0), d1: size(1), d2: size(2), d3: size(3), d4: size(4), d5: size(5), d6: size(6) },
      ...{ a0: aStride(0), a1: aStride(1), a2: aStride(2), a3: aStride(3) },
      ...{ a4: aStride(4), a5: aStride(5), a6: aStride(6), a7: aStride(7) },
      ...{ b0: bStride(0), b1: bStride(1), b2: bStride(2), b3: bStride(3) },
      ...{ b4: bStride(4), b5: bStride(5), b6: bStride(6), b7: bStride(7) },
    },
    tunables: {
      ...tunables,
      OP: BINARY[f],
      A_MAP: strided ? 2 : aMap.map,
      B_MAP: strided ? 2 : bMap.map,
      RANK: axes.length <= 4 ? 4 : 8,
      BOUNDED: bounds !== undefined,
    },
    workgroups,
    label,
  });
}

/** out = scale·x, broadcast to `shape`. */
export function expand(
  recorder: Recorder,
  {
    x,
    out,
    xShape,
    shape,
    scale,
    label = 'expand',
  }: {
    x: Operand<'f32'>;
    out: Operand<'f32'>;
    xShape: readonly number[];
    shape: readonly number[];
    scale?: number;
    label?: string;
  },
): void {
  binary(recorder, { f: 'left', a: x, b: x, out, aShape: xShape, bShape: xShape, shape, scale, label });
}
