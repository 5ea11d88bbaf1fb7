import { rowMajorStrides } from '../tensor.ts';
import type { TensorData } from '../types.ts';

/** Strides that read a tensor of shape `from` as if it had been broadcast to `to`. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const strides = rowMajorStrides(from);
  const shift = to.length - from.length;
  return to.map((_, axis) => (axis < shift || from[axis - shift] === 1 ? 0 : strides[axis - shift]!));
}

/**
 * Calls `visit(index, a, b)` for every element of `shape` in row-major order, where a and b are the offsets that two
 * sets of strides give it (they may be zero or negative).
 */
export function walk(
  shape: readonly number[],
  stridesA: readonly number[],
  stridesB: readonly number[],
  visit: (index: number, a: number, b: number) => void,
): void {
  const total = shape.reduce((product, dim) => product * dim, 1);
  const counter = shape.map(() => 0);
  let a = 0;
  let b = 0;
  for (let index = 0; index < total; index++) {
    visit(index, a, b);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      a += stridesA[axis]!;
      b += stridesB[axis]!;
      if (++counter[axis]! < shape[axis]!) break;
      a -= stridesA[axis]! * shape[axis]!;
      b -= stridesB[axis]! * shape[axis]!;
      counter[axis] = 0;
    }
  }
}

/** Copies a strided view of `source` into `target`, which is filled in row-major order from `begin` on. */
export function copyView(
  source: TensorData,
  offset: number,
  strides: readonly number[],
  shape: readonly number[],
  target: TensorData,
  begin = 0,
): void {
  // One element type on both sides (bigint or number): the two arrays always have the same dtype.
  const from = source as Float64Array;
  const to = target as Float64Array;
  walk(shape, strides, strides, (index, at) => {
    to[begin + index] = from[offset + at]!;
  });
}
