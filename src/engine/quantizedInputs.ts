import { convGeometry } from '../graph/infer/conv.ts';
import type { Graph, Node } from '../graph/types.ts';
import type { QuantizerLevels } from '../kernels/fakeQuantize.ts';
import type { PlanePadding } from '../kernels/padPlanes.ts';
import type { ParameterSource } from './parameters.ts';
import { FAKE_QUANTIZE, quantizerSettings, quantizerSteps } from './quantizer.ts';

/** An input that a layer quantizes itself, to multiply codes instead of floats. */
export interface QuantizedInput extends QuantizerLevels {
  /** Name of what is quantized. */
  value: string;
  /** One step for the whole tensor. */
  scale: number;
}

/** What a node does to activations, where it is a quantizer with one constant step. */
export function activationQuantizer(graph: Graph, node: Node | undefined): QuantizedInput | undefined {
  if (node?.op !== FAKE_QUANTIZE) return undefined;
  const { axis, levels } = quantizerSettings(node);
  const [value, scaleName] = node.inputs as [string, string];
  const scale = graph.initializers.get(scaleName);
  if (axis >= 0 || !scale || graph.initializers.has(value)) return undefined;
  return { value, scale: quantizerSteps(node, scale.data as Float32Array)[0] ?? 0, ...levels };
}

/** What layers with int8 weights make of their quantizers. */
export interface QuantizedLayers {
  /** The quantizer of a layer's input, which the layer applies itself. */
  inputs: Map<Node, QuantizedInput>;
  /** Quantizers that nobody else reads: they need not run. */
  idle: Set<Node>;
  /** Images that convolutions quantize, by the name of their quantizer's output. */
  images: Map<string, QuantizedImages>;
  /** Which of them whoever computes a value may write as codes, by the value's name. */
  written: Map<string, QuantizedImages>;
}

export interface QuantizedImages extends QuantizedInput {
  /** The quantizer's output, by which its readers find the codes. */
  codes: string;
  /** Around each plane, wide enough for all convolutions that read the codes. */
  padding: PlanePadding;
  /** Nobody reads the floats. */
  onlyCodes: boolean;
}

export function quantizedLayers(
  graph: Graph,
  shapes: ReadonlyMap<string, readonly number[]>,
  store: ParameterSource,
): QuantizedLayers {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const inputs = new Map<Node, QuantizedInput>();
  const quantizerOf = new Map<Node, Node>();
  // How often a value is read by others than the layers that quantize it themselves.
  const readers = new Map<string, number>();
  const count = (name: string) => readers.set(name, (readers.get(name) ?? 0) + 1);
  for (const { name } of graph.outputs) count(name);
  for (const node of graph.nodes) {
    const isInt8 = store.packed?.(node.inputs[1] ?? '')?.layer.form === 'int8';
    const quantizer = isInt8 ? producers.get(node.inputs[0] ?? '') : undefined;
    const quantized = activationQuantizer(graph, quantizer);
    if (quantizer && quantized) {
      inputs.set(node, quantized);
      quantizerOf.set(node, quantizer);
    }
    node.inputs.forEach((name, index) => {
      if (!(quantized && index === 0)) count(name);
    });
  }
  const served = new Set(quantizerOf.values());
  const idle = new Set([...served].filter(({ outputs }) => !outputs.some((name) => readers.has(name))));
  const images = new Map<string, QuantizedImages>();
  const written = new Map<string, QuantizedImages>();
  for (const quantizer of served) {
    const layers = [...quantizerOf].filter(([, its]) => its === quantizer).map(([layer]) => layer);
    const border = borderOf(graph, shapes, layers);
    if (!border) continue;
    const quantized = activationQuantizer(graph, quantizer) as QuantizedInput;
    // An idle quantizer is the one reader of the floats that does not count.
    const onlyCodes = border.all && idle.has(quantizer) && readers.get(quantized.value) === 1;
    const made = { ...quantized, codes: quantizer.outputs[0], padding: border.padding, onlyCodes };
    images.set(made.codes, made);
    // Of two quantizers of one value the first is written; the other works from the floats.
    if (!written.has(made.value)) written.set(made.value, made);
  }
  return { inputs, idle, images, written };
}

/** The border that the convolutions among the layers need; undefined where there is none. */
function borderOf(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>, layers: readonly Node[]) {
  const padding = { top: 0, left: 0, bottom: 0, right: 0 };
  let convolutions = 0;
  for (const layer of layers) {
    const [x, weight] = layer.inputs.map((name) => shapes.get(name) ?? graph.initializers.get(name)?.shape);
    if (layer.op !== 'Conv' || !x || !weight) continue;
    convolutions++;
    const { padTop, padLeft, padBottom, padRight } = convGeometry(layer, x, weight);
    padding.top = Math.max(padding.top, padTop);
    padding.left = Math.max(padding.left, padLeft);
    padding.bottom = Math.max(padding.bottom, padBottom);
    padding.right = Math.max(padding.right, padRight);
  }
  return convolutions > 0 ? { padding, all: convolutions === layers.length } : undefined;
}
