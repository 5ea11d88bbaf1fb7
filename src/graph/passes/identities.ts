import type { Graph, Node } from '../types.ts';

/**
 * Removes Identity nodes. Graph outputs keep their names: where an Identity produces one, the producer of its input
 * takes the name over. One Identity stays only where a graph output is a copy of a graph input or of another output.
 */
export function removeIdentities(graph: Graph): Graph {
  const outputNames = new Set(graph.outputs.map(({ name }) => name));
  const produced = new Set(graph.nodes.flatMap((node) => node.outputs));
  const initializers = new Map(graph.initializers);
  const replaced = new Map<string, string>();
  const resolve = (name: string): string => {
    let current = name;
    for (let next = replaced.get(current); next !== undefined; next = replaced.get(current)) current = next;
    return current;
  };
  const kept: Node[] = [];
  for (const node of graph.nodes) {
    const [input, output] = [node.inputs[0], node.outputs[0]];
    if (node.op !== 'Identity' || !input || !output) {
      kept.push(node);
      continue;
    }
    const source = resolve(input);
    const constant = initializers.get(source);
    if (!outputNames.has(output)) replaced.set(output, source);
    else if (constant) initializers.set(output, constant);
    else if (produced.has(source) && !outputNames.has(source)) replaced.set(source, output);
    else kept.push(node);
  }
  const nodes = kept.map((node) => ({
    ...node,
    inputs: node.inputs.map(resolve),
    outputs: node.outputs.map(resolve),
  }));
  return { ...graph, nodes, initializers };
}
