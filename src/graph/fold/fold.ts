import { describe } from '../attributes.ts';
import { InputError } from '../errors.ts';
import { shapeRange } from '../infer/generate.ts';
import { int64Tensor, numel } from '../tensor.ts';
import type { Node, Tensor } from '../types.ts';
import { arithmeticFolds } from './arithmetic.ts';
import type { Fold } from './common.ts';
import type { FoldBudget } from './folding.ts';
import { layoutFolds } from './layout.ts';

const folds: Readonly<Record<string, Fold>> = { ...arithmeticFolds, ...layoutFolds };

/**
 * The outputs of a node that can be computed on the host: one whose inputs are all constant, or that asks only for the
 * shape of its input. Undefined where it can not, or where this operator is not among those that compute shapes.
 */
export function foldNode(
  node: Node,
  inputs: (Tensor | undefined)[],
  inputShapes: (readonly number[] | undefined)[],
  outputShapes: readonly (readonly number[])[],
  budget: FoldBudget,
): Tensor[] | undefined {
  const shape = inputShapes[0];
  if (node.op === 'Shape' && shape) return [int64Tensor(shape.slice(...shapeRange(node, shape.length)))];
  if (node.op === 'Size' && shape) return [{ ...int64Tensor([numel(shape)]), shape: [] }];
  const fold = Object.hasOwn(folds, node.op) ? folds[node.op] : undefined;
  if (!fold || node.inputs.some((name, index) => name !== '' && !inputs[index])) return undefined;
  const elements = outputShapes.reduce((sum, output) => sum + numel(output), 0);
  if (elements > budget.elements) {
    throw new InputError(
      `${describe(node)} would produce ${elements} constant elements, far more than the model holds weights`,
    );
  }
  budget.elements -= elements;
  return fold(node, inputs, outputShapes);
}
