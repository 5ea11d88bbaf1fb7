import { InputError } from '../graph/errors.ts';
import type { Graph } from '../graph/types.ts';
import { findOperator } from './registry.ts';

/** Refuses, before any work, a node that its operator does not support as it stands, naming node and attribute. */
export function checkGraph(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>): void {
  for (const node of graph.nodes) {
    const operator = findOperator(node.op);
    if (!operator) throw new InputError(`Node ${node.name}: operator ${node.op} is not supported`);
    for (const attribute of Object.keys(node.attributes)) {
      if (!operator.attributes.includes(attribute)) {
        throw new InputError(`Node ${node.name} (${node.op}): attribute ${attribute} is not supported`);
      }
    }
    operator.check?.(
      node,
      node.inputs.map((name) => shapes.get(name) ?? graph.initializers.get(name)?.shape),
    );
  }
}
