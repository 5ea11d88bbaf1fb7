import type { GraphRules } from '../graph/propagate.ts';
import { type SpecializeOptions, specializeWith } from '../graph/specializeWith.ts';
import type { Graph } from '../graph/types.ts';
import { refuseUnsupported } from '../graph/unsupported.ts';
import { checkGraph } from './check.ts';
import { inferOperator, supportedOperators } from './registry.ts';

/**
 * A graph ready to be recorded: static shapes, folded, and everything in it known to be executable.
 * @param rules what the graph needs of `foldNode` and `generalizeBatch`
 */
export function prepareWith(
  rules: Omit<GraphRules, 'infer'>,
  source: Graph,
  options: SpecializeOptions,
): { graph: Graph; shapes: Map<string, number[]> } {
  const prepared = specializeWith(source, { infer: inferOperator, ...rules }, options);
  refuseUnsupported(prepared.graph, supportedOperators);
  checkGraph(prepared.graph, prepared.shapes);
  return prepared;
}
