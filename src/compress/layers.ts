import { FAKE_QUANTIZE } from '../engine/quantizer.ts';
import type { Graph, Node } from '../graph/types.ts';
import { matchesAny } from './patterns.ts';

/** A node with a weight that can be pruned and quantized. */
export interface WeightedLayer {
  node: Node;
  /** Name of the weight's initializer. */
  weight: string;
  /** Dimension of the weight that runs over output channels. */
  channelAxis: number;
}

/** Every Conv, Gemm and MatMul whose weight is an initializer (behind a quantizer or not), in the order of the graph. */
export function weightedLayers(graph: Graph, skip: readonly string[] = []): WeightedLayer[] {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const layers: WeightedLayer[] = [];
  for (const node of graph.nodes) {
    if (node.op !== 'Conv' && node.op !== 'Gemm' && node.op !== 'MatMul') continue;
    const quantizer = producers.get(node.inputs[1]);
    const weight = quantizer?.op === FAKE_QUANTIZE ? quantizer.inputs[0] : node.inputs[1];
    const tensor = graph.initializers.get(weight);
    if (tensor?.dtype !== 'float32' || tensor.shape.length < 2) continue;
    if (matchesAny(skip, node.name) || matchesAny(skip, weight)) continue;
    layers.push({ node, weight, channelAxis: channelAxis(node, tensor.shape.length) });
  }
  return layers;
}

function channelAxis(node: Node, rank: number): number {
  if (node.op === 'Conv') return 0;
  if (node.op === 'Gemm') return node.attributes.transB ? 0 : 1;
  return rank - 1;
}
