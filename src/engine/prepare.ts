import { type SpecializeOptions, specialize } from '../graph/specialize.ts';
import type { Graph } from '../graph/types.ts';
import { refuseUnsupported } from '../graph/unsupported.ts';
import { checkGraph } from './check.ts';
import { inferOperator, supportedOperators } from './registry.ts';

/** A graph ready to be recorded: static shapes, folded, and everything in it known to be executable. */
export function prepareGraph(
  source: Graph,
  options: SpecializeOptions,
): { graph: Graph; shapes: Map<string, number[]> } {
  const prepared = specialize(source, inferOperator, options);
  refuseUnsupported(prepared.graph, supportedOperators);
  checkGraph(prepared.graph, prepared.shapes);
  return prepared;
}
