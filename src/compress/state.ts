import type { Graph, Tensor } from '../graph/types.ts';

/** What one stage hands to the next: the rewritten graph with its weights, and the masks that hold from now on. */
export interface CompressionState {
  graph: Graph;
  /** By name of the weight: one byte per element, 1 where it is kept. Weights without an entry are dense. */
  masks: ReadonlyMap<string, Uint8Array>;
}

export function withInitializers(graph: Graph, tensors: ReadonlyMap<string, Tensor>): Graph {
  const initializers = new Map(graph.initializers);
  for (const [name, tensor] of tensors) if (initializers.has(name)) initializers.set(name, tensor);
  return { ...graph, initializers };
}

/** Fraction of exact zeros among the weights of two or more dimensions. */
export function weightSparsity(graph: Graph): number {
  let elements = 0;
  let zeros = 0;
  for (const { dtype, shape, data } of graph.initializers.values()) {
    if (dtype !== 'float32' || shape.length < 2) continue;
    elements += data.length;
    for (const value of data as Float32Array) if (value === 0) zeros++;
  }
  return elements > 0 ? zeros / elements : 0;
}
