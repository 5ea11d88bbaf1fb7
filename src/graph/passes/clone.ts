import type { Graph, Node } from '../types.ts';

/** A copy that can be rewritten freely; tensors (never changed in place) are shared. */
export function cloneGraph(graph: Graph): Graph {
  return {
    name: graph.name,
    inputs: graph.inputs.map(cloneInfo),
    outputs: graph.outputs.map(cloneInfo),
    nodes: graph.nodes.map(cloneNode),
    initializers: new Map(graph.initializers),
  };
}

export function cloneNode(node: Node): Node {
  return { ...node, inputs: [...node.inputs], outputs: [...node.outputs], attributes: { ...node.attributes } };
}

function cloneInfo<T extends Graph['inputs'][number]>(info: T): T {
  return { ...info, ...(info.shape && { shape: [...info.shape] }) };
}
