import { numel } from '../tensor.ts';
import type { Graph, Node, Tensor } from '../types.ts';

/** How many elements folding may still produce; a small file must not make us fill the memory. */
export interface FoldBudget {
  elements: number;
}

/** Generous for real models, whose folded tensors are shapes and re-laid-out weights. */
export function foldBudget(initializers: Iterable<Tensor>): FoldBudget {
  let elements = 2 ** 24;
  for (const { shape } of initializers) elements += 4 * numel(shape);
  return { elements };
}

/** `foldNode`: a module of its own, which pages do without whose networks have nothing to fold. */
export type FoldNode = (
  node: Node,
  inputs: (Tensor | undefined)[],
  inputShapes: (readonly number[] | undefined)[],
  outputShapes: readonly (readonly number[])[],
  budget: FoldBudget,
) => Tensor[] | undefined;

/**
 * Whether there may be something to fold: a node that reads constants alone, or asks for a shape. What depends on more
 * than one such node begins with one.
 */
export function mayFold({ nodes, initializers }: Graph): boolean {
  return nodes.some(
    ({ op, inputs }) =>
      op === 'Shape' || op === 'Size' || inputs.every((name) => name === '' || initializers.has(name)),
  );
}
