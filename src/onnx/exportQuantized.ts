import { FAKE_QUANTIZE } from '../engine/quantizer.ts';
import type { Graph } from '../graph/types.ts';
import { exportOnnx } from './export.ts';
import { startLowering } from './lowering.ts';
import { lowerProduct, packableProducts } from './lowerProducts.ts';
import { lowerQuantizer } from './lowerQuantizers.ts';
import { lowerWeights } from './lowerWeights.ts';
import type { PackedProduct } from './packedProduct.ts';
import { type IntegerType, integerTypeOf, type QuantizedWeight, scaleGranularity } from './quantizedWeight.ts';
import { separableBiases, separateBias } from './separateBias.ts';

export interface WeightForm {
  type: IntegerType;
  /** Of a code, which may use fewer than the type has. */
  bits: number;
  /** What shares a scale: tensor, channel, group of 32. */
  scales: string;
  /** Elements of a block of MatMulNBits, where the weight is packed for it. */
  block?: number;
}

export interface QuantizedExportOptions {
  /** Dense layers as MatMulNBits, an operator of onnxruntime's own, where their weight fits it. Default false. */
  packed?: boolean | undefined;
  /**
   * Leaves the bias of a layer with quantized input and weight inside it, where onnxruntime rounds it for its integer
   * kernels (see separateBias.ts): faster there, and further from what the graph computes. Default false.
   */
  roundedBias?: boolean | undefined;
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
 * the same input always gives the same bytes; so does what `importQuantized` reads out of them.
 */
export function exportQuantized(
  graph: Graph,
  weights: ReadonlyMap<string, QuantizedWeight>,
  options: QuantizedExportOptions = {},
): QuantizedExport {
  const lowering = startLowering(graph);
  // Quantizers take their scales as they are.
  const scales = new Set(graph.nodes.filter(({ op }) => op === FAKE_QUANTIZE).map(({ inputs }) => inputs[1]));
  const integers = new Map([...weights].filter(([name]) => graph.initializers.has(name) && !scales.has(name)));
  const products = options.packed ? packableProducts(graph, integers) : new Map<string, PackedProduct>();
  lowerWeights(lowering, integers, products);
  const quantizers = new Set(graph.nodes.filter(({ op }) => op === FAKE_QUANTIZE).map(({ outputs }) => outputs[0]));
  const biases = options.roundedBias
    ? new Map<string, number[]>()
    : separableBiases(graph, ({ inputs: [activation, weight = ''] }) => {
        return quantizers.has(activation) && integers.has(weight) && !products.has(weight);
      });
  const activations: QuantizedExport['activations'] = new Map();
  for (const node of graph.nodes) {
    if (node.op === FAKE_QUANTIZE) activations.set(node.outputs[0]!, lowerQuantizer(lowering, graph, node));
    else lowering.nodes.push(...separateBias(lowering, biases, lowerProduct(lowering, products, node)));
  }
  const { nodes, initializers, fourBit } = lowering;
  return {
    bytes: exportOnnx({ ...graph, nodes, initializers }, { fourBit }),
    weights: new Map(
      [...integers].map(([name, weight]) => {
        const block = products.get(name)?.block;
        const form = { type: integerTypeOf(weight), bits: weight.bits, scales: scaleGranularity(weight) };
        return [name, block === undefined ? form : { ...form, block }];
      }),
    ),
    activations,
  };
}
