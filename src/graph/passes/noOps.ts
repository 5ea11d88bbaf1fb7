import { resolvePermutation } from '../infer/layout.ts';
import type { Graph, Node } from '../types.ts';

const sameWhenSameShape = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Expand']);

/** Turns nodes that, for these shapes, copy their input into Identity nodes (for `removeIdentities` to remove). */
export function identifyNoOps(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>): Graph {
  return {
    ...graph,
    nodes: graph.nodes.map((node) =>
      isNoOp(node, shapes)
        ? { ...node, op: 'Identity', inputs: [node.inputs[0]!], outputs: [node.outputs[0]!], attributes: {} }
        : node,
    ),
  };
}

function isNoOp(node: Node, shapes: ReadonlyMap<string, readonly number[]>): boolean {
  const [from, to] = [shapes.get(node.inputs[0] ?? ''), shapes.get(node.outputs[0] ?? '')];
  if (!from || !to || from.length !== to.length || from.some((dim, axis) => dim !== to[axis])) return false;
  if (node.op === 'Transpose') return resolvePermutation(node, from.length).every((axis, index) => axis === index);
  return sameWhenSameShape.has(node.op) || (node.op === 'Concat' && node.inputs.length === 1);
}
