import { foldNode } from './fold/fold.ts';
import type { InferLookup } from './infer/common.ts';
import { propagate } from './propagate.ts';
import type { Graph } from './types.ts';

export type { InferLookup, InferShape } from './infer/common.ts';
export { inferers, inferShapeOfOperator } from './infer/inferers.ts';

/**
 * Shapes of all values (inputs, initializers, node outputs) for the given shapes of the graph's inputs. Rules in
 * `lookup` come first, those of `inferers` second; values behind an operator that has neither are missing.
 */
export function inferShapes(
  graph: Graph,
  lookup: InferLookup,
  inputShapes: ReadonlyMap<string, readonly number[]>,
): Map<string, number[]> {
  return propagate(graph, { infer: lookup, fold: foldNode }, inputShapes).shapes;
}
