import type { Graph } from '../types.ts';

/** `foldBatchNorm`, fetched where there is a normalisation: files that wgslim wrote have none that can be folded. */
export async function batchNormFolded(graph: Graph): Promise<Graph> {
  if (!graph.nodes.some(({ op }) => op === 'BatchNormalization')) return graph;
  return (await import('./foldBatchNorm.ts')).foldBatchNorm(graph);
}
