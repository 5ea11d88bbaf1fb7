import type { Graph, Node } from '../../src/graph/types.ts';

/** Computes a node's output from its inputs that are no weights. */
export type Operators<T> = Readonly<Record<string, (node: Node, ...inputs: T[]) => T>>;

/**
 * Runs a graph with a peer's operations, so that the peer trains the very same network.
 * @param share makes one more use of a value, for libraries whose operations use up their inputs
 */
export function walkGraph<T>(
  graph: Graph,
  x: T,
  operators: Operators<T>,
  share: (value: T) => T = (value) => value,
): T {
  const uses = new Map<string, number>();
  for (const node of graph.nodes) for (const name of node.inputs) uses.set(name, (uses.get(name) ?? 0) + 1);
  const values = new Map<string, T>([[graph.inputs[0].name, x]]);
  const take = (name: string): T => {
    const left = (uses.get(name) ?? 0) - 1;
    uses.set(name, left);
    const value = values.get(name) as T;
    return left > 0 ? share(value) : value;
  };
  for (const node of graph.nodes) {
    const operator = operators[node.op];
    if (!operator) throw new Error(`no ${node.op} for this peer`);
    const inputs = node.inputs.filter((name) => !graph.initializers.has(name)).map(take);
    values.set(node.outputs[0], operator(node, ...inputs));
  }
  return values.get(graph.outputs[0].name) as T;
}

/** An attribute that is the same along both axes, as in all networks here. */
export function square(node: Node, name: string, otherwise: number): number {
  const value = node.attributes[name] as readonly number[] | undefined;
  if (!value) return otherwise;
  if (value.some((length) => length !== value[0])) throw new Error(`${node.name}: ${name} differs between the axes`);
  return value[0];
}
