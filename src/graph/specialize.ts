import { generalizeBatch } from './batch.ts';
import { foldNode } from './fold/fold.ts';
import type { InferLookup } from './infer/common.ts';
import { type SpecializeOptions, specializeWith } from './specializeWith.ts';
import type { Graph } from './types.ts';

export type { SpecializeOptions } from './specializeWith.ts';

/** `specializeWith` everything that can be folded. */
export function specialize(
  graph: Graph,
  lookup: InferLookup,
  options: SpecializeOptions = {},
): { graph: Graph; shapes: Map<string, number[]> } {
  return specializeWith(graph, { infer: lookup, fold: foldNode, generalize: generalizeBatch }, options);
}
