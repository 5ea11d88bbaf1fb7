import { numberAttribute } from '../graph/attributes.ts';
import type { Graph, Node } from '../graph/types.ts';
import { type QuantizerLevels, quantizerLevels } from '../kernels/fakeQuantize.ts';
import type { ParameterSource } from './parameters.ts';

const FAKE_QUANTIZE = 'wgslim.FakeQuantize';

/** An input that a layer quantizes itself, to multiply codes instead of floats. */
export interface QuantizedInput extends QuantizerLevels {
  /** Name of what is quantized. */
  value: string;
  /** One step for the whole tensor. */
  scale: number;
}

/** What a node does to activations, where it is a quantizer with one constant step. */
export function activationQuantizer(graph: Graph, node: Node | undefined): QuantizedInput | undefined {
  if (node?.op !== FAKE_QUANTIZE || numberAttribute(node, 'axis', -1) >= 0) return undefined;
  const [value, scaleName] = node.inputs as [string, string];
  const scale = graph.initializers.get(scaleName);
  if (!scale || graph.initializers.has(value)) return undefined;
  const signed = numberAttribute(node, 'signed', 1) !== 0;
  const levels = quantizerLevels(numberAttribute(node, 'bits', 8), signed, numberAttribute(node, 'narrow', 0) !== 0);
  return { value, scale: (scale.data as Float32Array)[0] ?? 0, ...levels };
}

/**
 * The layers whose weights are packed as int8, with the quantizer of their input: they take its input and quantize that
 * themselves. `idle` are the quantizers that nobody else reads, which need not run.
 */
export function quantizedInputs(
  graph: Graph,
  store: ParameterSource,
): { inputs: Map<Node, QuantizedInput>; idle: Set<Node> } {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const inputs = new Map<Node, QuantizedInput>();
  const read = new Set(graph.outputs.map(({ name }) => name));
  const served = new Set<Node>();
  for (const node of graph.nodes) {
    const isInt8 = store.packed?.(node.inputs[1] ?? '')?.layer.form === 'int8';
    const quantizer = isInt8 ? producers.get(node.inputs[0] ?? '') : undefined;
    const quantized = activationQuantizer(graph, quantizer);
    if (quantizer && quantized) {
      inputs.set(node, quantized);
      served.add(quantizer);
    }
    node.inputs.forEach((name, index) => {
      if (!(quantized && index === 0)) read.add(name);
    });
  }
  return { inputs, idle: new Set([...served].filter(({ outputs }) => !outputs.some((name) => read.has(name)))) };
}
