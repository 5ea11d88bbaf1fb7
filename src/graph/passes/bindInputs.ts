import type { Graph, Tensor } from '../types.ts';

/** Turns graph inputs into initializers of the given values, so that folding and shape inference see them. */
export function bindInputs(graph: Graph, values: ReadonlyMap<string, Tensor>): Graph {
  const bound = graph.inputs.filter(({ name }) => values.has(name));
  return {
    ...graph,
    inputs: graph.inputs.filter(({ name }) => !values.has(name)),
    initializers: new Map([...graph.initializers, ...bound.map(({ name }) => [name, values.get(name)!] as const)]),
  };
}
