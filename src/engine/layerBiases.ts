import type { Graph } from '../graph/types.ts';
import { packableWeights } from './packing.ts';

/**
 * Initializers that layers of packable weights read as their bias, and nothing else reads: by name the weights of those
 * layers.
 */
export function layerBiases(graph: Graph): Map<string, string[]> {
  const weights = packableWeights(graph);
  const biases = new Map<string, string[] | undefined>(graph.outputs.map(({ name }) => [name, undefined]));
  for (const node of graph.nodes) {
    node.inputs.forEach((name, index) => {
      const weight = node.inputs[1] ?? '';
      const isFloat = graph.initializers.get(name)?.dtype === 'float32';
      const isBias = isFloat && index === 2 && (node.op === 'Conv' || node.op === 'Gemm') && weights.has(weight);
      const known = biases.has(name) ? biases.get(name) : [];
      biases.set(name, isBias && known ? [...known, weight] : undefined);
    });
  }
  return new Map([...biases].filter((entry): entry is [string, string[]] => entry[1] !== undefined));
}
