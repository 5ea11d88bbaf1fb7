import { describe } from '../attributes.ts';
import { InputError } from '../errors.ts';
import type { Node, Tensor } from '../types.ts';

/**
 * Computes a node on the host from constant inputs, given the shapes of its outputs (so all checks of shapes, axes and
 * counts are behind us). Undefined: this node is left to the GPU.
 */
export type Fold = (
  node: Node,
  inputs: (Tensor | undefined)[],
  outputShapes: readonly (readonly number[])[],
) => Tensor[] | undefined;

export function requireTensor(node: Node, inputs: (Tensor | undefined)[], index: number): Tensor {
  const tensor = inputs[index];
  if (!tensor) throw new InputError(`${describe(node)} lacks its input ${index}`);
  return tensor;
}
