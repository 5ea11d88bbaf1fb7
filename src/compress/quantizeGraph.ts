import { FAKE_QUANTIZE } from '../engine/quantizer.ts';
import type { Graph, Node, Tensor } from '../graph/types.ts';
import { quantizerLevels } from '../kernels/fakeQuantize.ts';
import { weightedLayers } from './layers.ts';
import { matchesAny } from './patterns.ts';
import { nonNegativeValues } from './ranges.ts';
import { channelValues, lsqScale, mseScale } from './scales.ts';

export interface QuantizeSettings {
  weights: { bits: number; perChannel: boolean; initial: 'lsq' | 'mse' };
  /** `powerOfTwo`: steps are powers of two. */
  activations?: { bits: number; powerOfTwo?: boolean };
  /** Widths of single layers' weights by name pattern. */
  layers: Readonly<Record<string, number>>;
  skip: readonly string[];
}

export interface QuantizedGraph {
  graph: Graph;
  /** Activations that got a quantizer: the value it reads, and its scale, whose value calibration must still set. */
  activations: { value: string; scale: string; signed: boolean; bits: number; powerOfTwo: boolean }[];
}

/**
 * Puts a quantizer before the weight of every Conv, Gemm and MatMul and, where asked, before the activation it reads.
 * One activation read by several layers gets one quantizer. Scales of weights are set here (per channel, LSQ's or the
 * least-error one); those of activations are 1 until calibration. A quantizer of an earlier stage gives way to the new
 * one, unless a layer that is left out reads it too.
 */
export function quantizeGraph(given: Graph, settings: QuantizeSettings): QuantizedGraph {
  const source = withoutQuantizers(given, settings);
  const initializers = new Map(source.initializers);
  const names = new Set([...initializers.keys(), ...source.nodes.flatMap((node) => [node.name, ...node.outputs])]);
  const layers = new Map(weightedLayers(source, settings.skip).map((layer) => [layer.node, layer]));
  const nonNegative = nonNegativeValues(source);
  const quantized = new Map<string, string>();
  const isQuantized = new Set(source.nodes.filter(({ op }) => op === FAKE_QUANTIZE).map(({ outputs }) => outputs[0]));
  const activations: QuantizedGraph['activations'] = [];
  const nodes: Node[] = [];

  const addQuantizer = (value: string, scale: Tensor, attributes: Record<string, number>): string => {
    const output = unique(`${value}_quantized`, names);
    const scaleName = unique(`${value}_scale`, names);
    initializers.set(scaleName, scale);
    const name = unique(`${value}_quantize`, names);
    nodes.push({ name, op: FAKE_QUANTIZE, inputs: [value, scaleName], outputs: [output], attributes });
    quantized.set(value, output);
    return scaleName;
  };

  for (const node of source.nodes) {
    const layer = layers.get(node);
    if (!layer) {
      nodes.push(node);
      continue;
    }
    const inputs = [...node.inputs];
    const weight = initializers.get(layer.weight) as Tensor;
    if (inputs[1] === layer.weight) {
      if (!quantized.has(layer.weight)) {
        const bits = widthOf(node.name, layer.weight, settings);
        const axis = settings.weights.perChannel ? layer.channelAxis : -1;
        const scale = weightScales(weight, bits, axis, settings.weights.initial);
        addQuantizer(layer.weight, scale, { bits, signed: 1, narrow: 1, axis });
      }
      inputs[1] = quantized.get(layer.weight) as string;
    }
    const activation = inputs[0];
    if (settings.activations && !initializers.has(activation) && !isQuantized.has(activation)) {
      if (!quantized.has(activation)) {
        const { bits, powerOfTwo = false } = settings.activations;
        const signed = !nonNegative.has(activation);
        const one: Tensor = { dtype: 'float32', shape: [1], data: Float32Array.of(1) };
        const scale = addQuantizer(activation, one, {
          ...{ bits, signed: signed ? 1 : 0, narrow: 0, axis: -1 },
          ...(powerOfTwo && { powerOfTwo: 1 }),
        });
        activations.push({ value: activation, scale, signed, bits, powerOfTwo });
      }
      inputs[0] = quantized.get(activation) as string;
    }
    nodes.push({ ...node, inputs });
  }
  return { graph: { ...source, nodes, initializers }, activations };
}

/** Takes out the quantizers that only layers of this stage read: those are about to get others. */
function withoutQuantizers(source: Graph, settings: QuantizeSettings): Graph {
  const layers = new Set(weightedLayers(source, settings.skip).map(({ node }) => node));
  const outputs = new Set(source.outputs.map(({ name }) => name));
  const renamed = new Map<string, string>();
  const removed = new Set<Node>();
  for (const node of source.nodes) {
    if (node.op !== FAKE_QUANTIZE) continue;
    const [value] = node.inputs;
    const [output] = node.outputs;
    if (outputs.has(output) || !(settings.activations || source.initializers.has(value))) continue;
    const readers = source.nodes.filter(({ inputs }) => inputs.includes(output));
    if (!readers.every((reader) => layers.has(reader))) continue;
    removed.add(node);
    renamed.set(output, value);
  }
  if (removed.size === 0) return source;
  const nodes = source.nodes
    .filter((node) => !removed.has(node))
    .map((node) => ({ ...node, inputs: node.inputs.map((name) => renamed.get(name) ?? name) }));
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  const initializers = new Map(source.initializers);
  for (const { inputs } of removed) if (!used.has(inputs[1])) initializers.delete(inputs[1]);
  return { ...source, nodes, initializers };
}

function widthOf(node: string, weight: string, { layers, weights }: QuantizeSettings): number {
  for (const [pattern, bits] of Object.entries(layers)) {
    if (matchesAny([pattern], node) || matchesAny([pattern], weight)) return bits;
  }
  return weights.bits;
}

function weightScales(weight: Tensor, bits: number, axis: number, initial: 'lsq' | 'mse'): Tensor {
  const data = weight.data as Float32Array;
  const range = quantizerLevels(bits, true, true);
  const choose = initial === 'lsq' ? lsqScale : mseScale;
  const scales =
    axis < 0
      ? Float32Array.of(choose(data, range))
      : Float32Array.from({ length: weight.shape[axis] }, (_, channel) =>
          choose(channelValues(data, weight.shape, axis, channel), range),
        );
  return { dtype: 'float32', shape: [scales.length], data: scales };
}

function unique(name: string, taken: Set<string>): string {
  let candidate = name;
  for (let i = 2; taken.has(candidate); i++) candidate = `${name}_${i}`;
  taken.add(candidate);
  return candidate;
}
