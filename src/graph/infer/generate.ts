import { describe, intAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import { toNumbers } from '../tensor.ts';
import type { Node } from '../types.ts';
import { broadcastShapes, type InferShape, requireIntegers, requireShape } from './common.ts';

/** First and one-past-last axis that a Shape node reports (attributes start and end, clamped to the rank). */
export function shapeRange(node: Node, rank: number): [number, number] {
  const clamp = (value: number): number => Math.max(0, Math.min(rank, value < 0 ? value + rank : value));
  const start = clamp(intAttribute(node, 'start', 0));
  return [start, Math.max(start, clamp(intAttribute(node, 'end', rank)))];
}

export const inferShapeOf: InferShape = (node, inputs) => {
  const [start, end] = shapeRange(node, requireShape(node, inputs, 0, 'data').length);
  return [[end - start]];
};

export const inferSize: InferShape = (node, inputs) => {
  requireShape(node, inputs, 0, 'data');
  return [[]];
};

export const inferExpand: InferShape = (node, inputs, constants) => [
  broadcastShapes(node, [requireShape(node, inputs, 0, 'input'), requireIntegers(node, constants, 1, 'shape')]),
];

export const inferConstantOfShape: InferShape = (node, _inputs, constants) => [
  requireIntegers(node, constants, 0, 'shape'),
];

export const inferRange: InferShape = (node, _inputs, constants) => {
  const values = [0, 1, 2].map((index) => {
    const tensor = constants[index];
    if (tensor?.data.length !== 1) {
      throw new InputError(`${describe(node)} needs start, limit and delta as scalars that are known beforehand`);
    }
    return toNumbers(tensor)[0]!;
  });
  const [start, limit, delta] = values as [number, number, number];
  const count = Math.ceil((limit - start) / delta);
  if (Number.isNaN(count) || count > Number.MAX_SAFE_INTEGER) {
    throw new InputError(`${describe(node)} counts from ${start} to ${limit} by ${delta}, which has no end`);
  }
  return [[Math.max(0, count)]];
};

export const inferTile: InferShape = (node, inputs, constants) => {
  const x = requireShape(node, inputs, 0, 'input');
  const repeats = requireIntegers(node, constants, 1, 'repeats', x.length);
  return [x.map((dim, axis) => dim * repeats[axis]!)];
};
