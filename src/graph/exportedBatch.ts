import type { Graph } from './types.ts';

/** The batch a model was exported for: the first dimension of its first input, if that is a number. */
export function exportedBatch(graph: Graph): number | undefined {
  const first = graph.inputs[0]?.shape?.[0];
  return typeof first === 'number' ? first : undefined;
}
