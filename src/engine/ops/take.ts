import { inverseIndices, type TakeShape, take, takeBackward } from '../../kernels/take.ts';
import type { Builder } from '../builder.ts';
import { elementsOf, type Value } from '../value.ts';

/** Indices taken along an axis of a tensor, known beforehand. */
export interface TakeAlong {
  axis: number;
  /** Each from 0 to the axis' length − 1. */
  indices: Uint32Array<ArrayBuffer>;
}

const shapeOf = (shape: readonly number[], { axis, indices }: TakeAlong): TakeShape => ({
  outer: elementsOf(shape.slice(0, axis)),
  length: shape[axis]!,
  count: indices.length,
  inner: elementsOf(shape.slice(axis + 1)),
});

/** A table in memory of its own, written once. */
function table(builder: Builder, data: Uint32Array<ArrayBuffer>, label: string): Value<'u32'> {
  const value = builder.own([data.length], 'u32', label);
  if (data.length > 0) builder.gpu.write(value.storage.slice!, data);
  return value;
}

/** y = x at the indices along the axis. */
export function takeAlong(builder: Builder, call: { x: Value<'f32'>; y: Value<'f32'>; along: TakeAlong }): void {
  const { x, y, along } = call;
  if (y.elements === 0) return;
  take(builder, { x, y, indices: table(builder, along.indices, 'indices'), shape: shapeOf(x.shape, along) });
}

/** dx = dy summed over the positions that took each element. */
export function takeAlongBackward(
  builder: Builder,
  call: { dy: Value<'f32'>; dx: Value<'f32'>; along: TakeAlong },
): void {
  const { dy, dx, along } = call;
  if (dx.elements === 0) return;
  const { starts, positions } = inverseIndices(along.indices, dx.shape[along.axis]!);
  takeBackward(builder, {
    dy,
    dx,
    starts: table(builder, starts, 'starts'),
    positions: table(builder, positions, 'positions'),
    shape: shapeOf(dx.shape, along),
  });
}
