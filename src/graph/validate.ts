import { describe } from './attributes.ts';
import { InputError } from './errors.ts';
import type { Graph, Node } from './types.ts';

/**
 * Checks that names are unique, that every value that is read exists, and that there is no cycle. Returns the graph
 * itself, or a copy with the nodes brought into topological order (otherwise stable) where they were not.
 */
export function validateGraph(graph: Graph): Graph {
  const known = new Set<string>();
  const declare = (name: string, where: string): void => {
    if (known.has(name)) throw new InputError(`the value '${name}' is defined twice (the second time by ${where})`);
    known.add(name);
  };
  for (const name of graph.initializers.keys()) declare(name, 'an initializer');
  for (const { name } of graph.inputs) declare(name, 'a graph input');
  const ready = new Set(known);
  const nodeNames = new Set<string>();
  const producers = new Map<string, Node>();
  for (const node of graph.nodes) {
    if (nodeNames.has(node.name)) throw new InputError(`two nodes are called '${node.name}'`);
    nodeNames.add(node.name);
    for (const output of node.outputs) {
      if (output === '') continue;
      declare(output, describe(node));
      producers.set(output, node);
    }
  }
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input !== '' && !known.has(input)) {
        throw new InputError(`${describe(node)} reads '${input}', which nothing produces`);
      }
    }
  }
  const outputs = new Set<string>();
  for (const { name } of graph.outputs) {
    if (!known.has(name)) throw new InputError(`the graph output '${name}' is produced by nothing`);
    if (outputs.has(name)) throw new InputError(`the graph output '${name}' is listed twice`);
    outputs.add(name);
  }
  const nodes = topologicalOrder(graph.nodes, ready, producers);
  return nodes.every((node, index) => node === graph.nodes[index]) ? graph : { ...graph, nodes };
}

/** Depth-first order with an explicit stack (a long chain must not overflow the call stack). */
function topologicalOrder(
  nodes: readonly Node[],
  ready: ReadonlySet<string>,
  producers: ReadonlyMap<string, Node>,
): Node[] {
  const order: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  for (const root of nodes) {
    if (state.has(root)) continue;
    state.set(root, 'open');
    const stack = [{ node: root, next: 0 }];
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const input = top.node.inputs[top.next++];
      if (input === undefined) {
        stack.pop();
        state.set(top.node, 'done');
        order.push(top.node);
        continue;
      }
      const producer = ready.has(input) ? undefined : producers.get(input);
      if (!producer || state.get(producer) === 'done') continue;
      if (state.get(producer) === 'open') throw new InputError(`${describe(producer)} depends on its own output`);
      state.set(producer, 'open');
      stack.push({ node: producer, next: 0 });
    }
  }
  return order;
}
