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
  const readers = countReaders(graph);
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

/** An addition that the node before it can do on its own, by that node. */
export interface AbsorbedAdd {
  add: Node;
  /** Name of what is added: a value that is there before the node runs. */
  other: string;
}

/**
 * Additions of equal shapes (residual connections) that the later of the two nodes before them can do: nobody else may
 * read that node's result. Not for a forward pass that a backward pass follows.
 */
export function absorbAdds(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>): Map<Node, AbsorbedAdd> {
  const readers = countReaders(graph);
  const order = new Map<string, number>();
  graph.nodes.forEach((node, index) => {
    for (const name of node.outputs) order.set(name, index);
  });
  const absorbed = new Map<Node, AbsorbedAdd>();
  for (const add of graph.nodes) {
    const [a, b] = add.inputs;
    if (add.op !== 'Add' || a === undefined || b === undefined || a === b) continue;
    if (graph.initializers.has(a) || graph.initializers.has(b)) continue;
    if (String(shapes.get(a)) !== String(shapes.get(b))) continue;
    const place = (name: string) => order.get(name) ?? -1;
    const [later, other] = place(a) > place(b) ? [a, b] : [b, a];
    const producer = graph.nodes[place(later)];
    if (!producer || !findOperator(producer.op)?.canAdd || readers.get(later) !== 1) continue;
    absorbed.set(producer, { add, other });
  }
  return absorbed;
}

function countReaders(graph: Graph): Map<string, number> {
  const readers = new Map<string, number>();
  const count = (name: string): void => void readers.set(name, (readers.get(name) ?? 0) + 1);
  for (const node of graph.nodes) for (const name of node.inputs) count(name);
  for (const { name } of graph.outputs) count(name);
  return readers;
}
