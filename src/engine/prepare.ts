import { generalizeBatch } from '../graph/batch.ts';
import { foldNode } from '../graph/fold/fold.ts';
import type { SpecializeOptions } from '../graph/specializeWith.ts';
import type { Graph } from '../graph/types.ts';
import { prepareWith } from './prepareWith.ts';

/** A graph ready to be recorded: static shapes, folded, and everything in it known to be executable. */
export function prepareGraph(
  source: Graph,
  options: SpecializeOptions,
): { graph: Graph; shapes: Map<string, number[]> } {
  return prepareWith({ fold: foldNode, generalize: generalizeBatch }, source, options);
}
