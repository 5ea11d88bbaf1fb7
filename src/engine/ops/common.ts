import { describe } from '../../graph/attributes.ts';
import { InputError } from '../../graph/errors.ts';
import type { Node } from '../../graph/types.ts';
import type { ForwardContext } from '../operator.ts';

const MAX_RANK = 6;

export function checkRank(node: Node, shapes: readonly (readonly number[] | undefined)[]): void {
  const rank = shapes[0]?.length ?? 0;
  if (rank > MAX_RANK) {
    throw new InputError(`${describe(node)} reads a tensor of ${rank} dimensions; up to ${MAX_RANK} are supported`);
  }
}

export const constantsOf = ({ node, constant }: Pick<ForwardContext, 'node' | 'constant'>) =>
  node.inputs.map((_, index) => constant(index));

/** Inputs of BatchNormalization. */
export const [X, SCALE, SHIFT, MEAN, VARIANCE] = [0, 1, 2, 3, 4] as const;
