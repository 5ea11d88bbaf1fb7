import { describe } from './attributes.ts';
import { inferDTypes } from './dtypes.ts';
import { InputError } from './errors.ts';
import { refuseIndices } from './infer/pool.ts';
import type { Graph } from './types.ts';

/**
 * Refuses, naming node and operator, what the engine cannot execute: operators outside `supported`, and computation in
 * another type than float32. For graphs out of `specialize`: what only computes shapes is folded away there.
 */
export function refuseUnsupported(graph: Graph, supported: ReadonlySet<string>): void {
  for (const node of graph.nodes) {
    if (!supported.has(node.op)) {
      throw new InputError(`${describe(node)}: the operator ${node.op} is not supported`);
    }
    // Before the look at types: that the indices are int64 is not what is wrong with them.
    refuseIndices(node);
  }
  const dtypes = inferDTypes(graph);
  for (const node of graph.nodes) {
    for (const name of [node.inputs[0] ?? '', ...node.outputs]) {
      const dtype = dtypes.get(name);
      if (dtype !== undefined && dtype !== 'float32') {
        throw new InputError(`${describe(node)} computes in ${dtype} (value '${name}'); only float32 is supported`);
      }
    }
  }
}
