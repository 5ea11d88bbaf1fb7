import type { FoldNode } from '../graph/fold/folding.ts';
import { type SpecializeOptions, specializeWith } from '../graph/specializeWith.ts';
import type { Graph } from '../graph/types.ts';
import { refuseUnsupported } from '../graph/unsupported.ts';
import { checkGraph } from './check.ts';
import { inferOperator, supportedOperators } from './registry.ts';

/**
 * A graph ready to be recorded: static shapes, folded, and everything in it known to be executable.
 * @param fold `foldNode`, or nothing for a graph in which there is nothing to fold
 */
export function prepareWith(
  fold: FoldNode | undefined,
  source: Graph,
  options: SpecializeOptions,
): { graph: Graph; shapes: Map<string, number[]> } {
  const prepared = specializeWith(source, { infer: inferOperator, fold }, options);
  refuseUnsupported(prepared.graph, supportedOperators);
  checkGraph(prepared.graph, prepared.shapes);
  return prepared;
}
