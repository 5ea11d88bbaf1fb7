import type { Graph } from '../graph/types.ts';
import type { QuantizedWeight } from './quantizedWeight.ts';
import { raisePacked } from './raisePacked.ts';
import { raiseQuantizers } from './raiseQuantizers.ts';
import { raiseWeights } from './raiseWeights.ts';
import { dropSpent, type Raising, startRaising } from './raising.ts';
import { joinBiases } from './separateBias.ts';

export interface RaiseOptions {
  /** Initializers that are stored in 4 bits. */
  fourBit: ReadonlySet<string>;
  declaredRanks: ReadonlyMap<string, number>;
  unique: Raising['unique'];
}

/**
 * Brings QuantizeLinear, DequantizeLinear and MatMulNBits into our form: constant integers become float32 initializers,
 * which lie on the grid that `weights` tells, and pairs around activations become quantizers. The opposite of
 * `exportQuantized`.
 */
export function raiseQuantized(
  graph: Graph,
  { fourBit, declaredRanks, unique }: RaiseOptions,
): { graph: Graph; weights: Map<string, QuantizedWeight> } {
  const raising = startRaising(graph, fourBit, unique);
  raiseWeights(raising);
  raiseQuantizers(raising);
  joinBiases(raising, graph);
  raisePacked(raising, graph, declaredRanks);
  dropSpent(raising);
  const { nodes, initializers, weights } = raising;
  return { graph: { ...graph, nodes, initializers }, weights };
}
