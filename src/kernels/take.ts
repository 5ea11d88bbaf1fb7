import { takeBackwardShader, takeShader } from './generated/layout.ts';
import type { Operand, Recorder } from './kernel.ts';
import { spread } from './spread.ts';

/** A tensor [outer, length, inner] of which `count` indices along the middle axis are taken. */
export interface TakeShape {
  outer: number;
  length: number;
  count: number;
  inner: number;
}

/** y [outer, count, inner] = x [outer, length, inner] at `indices` [count] along the middle axis, each below length. */
export function take(
  recorder: Recorder,
  { x, indices, y, shape }: { x: Operand<'f32'>; indices: Operand<'u32'>; y: Operand<'f32'>; shape: TakeShape },
): void {
  const { length, count, inner } = shape;
  const { wg, span, workgroups } = spread(recorder.capabilities, y.elements);
  recorder.dispatch(takeShader, {
    operands: { x, indices, y },
    args: { n: y.elements, span, length, count, inner },
    tunables: { WG: wg },
    workgroups,
    label: 'take',
  });
}

/** dx = for every element the sum of dy over the positions that took it; see `inverseIndices`. */
export function takeBackward(
  recorder: Recorder,
  call: {
    dy: Operand<'f32'>;
    starts: Operand<'u32'>;
    positions: Operand<'u32'>;
    dx: Operand<'f32'>;
    shape: TakeShape;
  },
): void {
  const { dy, starts, positions, dx, shape } = call;
  const { length, count, inner } = shape;
  const { wg, span, workgroups } = spread(recorder.capabilities, dx.elements);
  recorder.dispatch(takeBackwardShader, {
    operands: { dy, starts, positions, dx },
    args: { n: dx.elements, span, length, count, inner },
    tunables: { WG: wg },
    workgroups,
    label: 'take gradient',
  });
}

/** For every index below `length` the positions that hold it, ascending: positions[starts[i] … starts[i + 1] − 1]. */
export function inverseIndices(
  indices: Uint32Array,
  length: number,
): { starts: Uint32Array<ArrayBuffer>; positions: Uint32Array<ArrayBuffer> } {
  const starts = new Uint32Array(length + 1);
  for (const index of indices) starts[index + 1]!++;
  for (let i = 0; i < length; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice();
  const positions = new Uint32Array(indices.length);
  indices.forEach((index, position) => {
    positions[next[index]!++] = position;
  });
  return { starts, positions };
}
