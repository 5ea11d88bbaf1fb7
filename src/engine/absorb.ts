import type { Graph, Node } from '../graph/types.ts';
import type { Bounds } from './operator.ts';
import { findOperator } from './registry.ts';

/** A node that clamps, and the bounds that the node before it keeps to instead. */
export interface AbsorbedClamp {
  clamp: Node;
  bounds: Bounds;
}

/**
 * Clamps (Relu, Clip) that the node before them can do on its own, by that node: one pass over the tensor less. Nobody
 * else may read the node's result, since it never exists.
 */
export function absorbClamps(graph: Graph): Map<Node, AbsorbedClamp> {
  const readers = new Map<string, number>();
  const count = (name: string): void => void readers.set(name, (readers.get(name) ?? 0) + 1);
  for (const node of graph.nodes) for (const name of node.inputs) count(name);
  for (const { name } of graph.outputs) count(name);

  const producers = new Map<string, Node>();
  const absorbed = new Map<Node, AbsorbedClamp>();
  for (const node of graph.nodes) {
    const producer = producers.get(node.inputs[0] ?? '');
    const bounds = findOperator(node.op)?.clamps?.(node, (index) => graph.initializers.get(node.inputs[index] ?? ''));
    if (producer && bounds && readers.get(node.inputs[0]!) === 1) absorbed.set(producer, { clamp: node, bounds });
    if (findOperator(node.op)?.canBound) producers.set(node.outputs[0]!, node);
  }
  return absorbed;
}
