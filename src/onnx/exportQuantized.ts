import type { Graph } from '../graph/types.ts';
import { exportOnnx } from './export.ts';
import { FAKE_QUANTIZE, startLowering } from './lowering.ts';
import { lowerQuantizer } from './lowerQuantizers.ts';
import { lowerWeights } from './lowerWeights.ts';
import { type IntegerType, integerTypeOf, type QuantizedWeight, scaleGranularity } from './quantizedWeight.ts';

export interface WeightForm {
  type: IntegerType;
  /** Of a code, which may use fewer than the type has. */
  bits: number;
  /** What shares a scale: tensor, channel, group of 32. */
  scales: string;
}

export interface QuantizedExport {
  bytes: Uint8Array;
  /** How initializers are stored; those that are not listed are as they were. */
  weights: Map<string, WeightForm>;
  /** Element type of the output of each quantizer of an activation. */
  activations: Map<string, IntegerType>;
}

/**
 * The graph as an ONNX model of opset 21 in which `weights` (by initializer) are integers with a DequantizeLinear, and
 * quantizers (`wgslim.FakeQuantize`) pairs of QuantizeLinear and DequantizeLinear. It computes what the graph does, and
 * the same input always gives the same bytes.
 */
export function exportQuantized(graph: Graph, weights: ReadonlyMap<string, QuantizedWeight>): QuantizedExport {
  const lowering = startLowering(graph);
  // Quantizers take their scales as they are.
  const scales = new Set(graph.nodes.filter(({ op }) => op === FAKE_QUANTIZE).map(({ inputs }) => inputs[1]));
  const integers = new Map([...weights].filter(([name]) => graph.initializers.has(name) && !scales.has(name)));
  lowerWeights(lowering, integers);
  const activations: QuantizedExport['activations'] = new Map();
  for (const node of graph.nodes) {
    if (node.op === FAKE_QUANTIZE) activations.set(node.outputs[0]!, lowerQuantizer(lowering, graph, node));
    else lowering.nodes.push(node);
  }
  const { nodes, initializers, fourBit } = lowering;
  return {
    bytes: exportOnnx({ ...graph, nodes, initializers }, { fourBit }),
    weights: new Map(
      [...integers].map(([name, weight]) => [
        name,
        { type: integerTypeOf(weight), bits: weight.bits, scales: scaleGranularity(weight) },
      ]),
    ),
    activations,
  };
}
