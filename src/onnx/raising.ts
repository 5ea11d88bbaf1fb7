import type { Graph, Node, Tensor } from '../graph/types.ts';
import type { QuantizedWeight } from './quantizedWeight.ts';

/** A graph that is being rewritten from ONNX's quantized form into ours. */
export interface Raising {
  nodes: Node[];
  initializers: Map<string, Tensor>;
  /** Names of the graph's outputs. */
  outputs: ReadonlySet<string>;
  /** Initializers that are stored in 4 bits. */
  fourBit: ReadonlySet<string>;
  weights: Map<string, QuantizedWeight>;
  /** Initializers to be taken out if nothing reads them any more. */
  spent: Set<string>;
  /** A name that nothing has, made from the wanted one. */
  unique: (wanted: string) => string;
}

export function startRaising(graph: Graph, fourBit: ReadonlySet<string>, unique: Raising['unique']): Raising {
  return {
    nodes: [...graph.nodes],
    initializers: new Map(graph.initializers),
    outputs: new Set(graph.outputs.map(({ name }) => name)),
    fourBit,
    weights: new Map(),
    spent: new Set(),
    unique,
  };
}

/** Names of the values that nodes read or that are outputs. */
export function readNames({ nodes, outputs }: Pick<Raising, 'nodes' | 'outputs'>): Set<string> {
  return new Set([...outputs, ...nodes.flatMap(({ inputs }) => inputs)]);
}

/** Puts initializers where another one stands, which stays until it is known that nothing reads it. */
export function placeBefore(
  { initializers }: Raising,
  anchors: ReadonlyMap<string, readonly (readonly [string, Tensor])[]>,
): void {
  const before = [...initializers];
  initializers.clear();
  for (const [name, tensor] of before) {
    for (const [added, value] of anchors.get(name) ?? []) initializers.set(added, value);
    initializers.set(name, tensor);
  }
}

export function dropSpent(raising: Raising): void {
  const read = readNames(raising);
  for (const name of raising.spent) if (!read.has(name)) raising.initializers.delete(name);
}
