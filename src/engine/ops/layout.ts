import { describe } from '../../graph/attributes.ts';
import { InputError } from '../../graph/errors.ts';
import { inferers } from '../../graph/infer/inferers.ts';
import type { Node } from '../../graph/types.ts';
import type { ForwardContext, Operator } from '../operator.ts';
import { lazily } from './lazily.ts';

const MAX_RANK = 6;

export function checkRank(node: Node, shapes: readonly (readonly number[] | undefined)[]): void {
  const rank = shapes[0]?.length ?? 0;
  if (rank > MAX_RANK) {
    throw new InputError(`${describe(node)} reads a tensor of ${rank} dimensions; up to ${MAX_RANK} are supported`);
  }
}

export const constantsOf = ({ node, constant }: Pick<ForwardContext, 'node' | 'constant'>) =>
  node.inputs.map((_, index) => constant(index));

/** Operators that move elements about without changing them, by their ONNX definitions. */
export const layouts: readonly Operator[] = lazily(
  () => import('./layoutPasses.ts'),
  [
    { op: 'Transpose', infer: inferers.Transpose!, attributes: ['perm'], check: checkRank },
    { op: 'Slice', infer: inferers.Slice!, attributes: [], check: checkRank },
    { op: 'Concat', infer: inferers.Concat!, attributes: ['axis'] },
  ],
);
