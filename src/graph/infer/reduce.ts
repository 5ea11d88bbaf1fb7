import { intAttribute } from '../attributes.ts';
import type { Node, Tensor } from '../types.ts';
import { type InferShape, optionalIntegers, requireShape, resolveAxes } from './common.ts';

/** Axes over which a ReduceMean, ReduceSum, … runs, ascending (default: all, or none with noop_with_empty_axes). */
export function reductionAxes(node: Node, shape: readonly number[], constants: (Tensor | undefined)[]): number[] {
  const axes = optionalIntegers(node, constants, 1, 'axes') ?? [];
  if (axes.length > 0) return resolveAxes(node, axes, shape.length).sort((a, b) => a - b);
  return intAttribute(node, 'noop_with_empty_axes', 0) ? [] : shape.map((_, axis) => axis);
}

export const inferReduce: InferShape = (node, inputs, constants) => {
  const x = requireShape(node, inputs, 0, 'data');
  const axes = new Set(reductionAxes(node, x, constants));
  const keep = intAttribute(node, 'keepdims', 1) !== 0;
  return [x.flatMap((dim, axis) => (axes.has(axis) ? (keep ? [1] : []) : [dim]))];
};
