/**
 * Layers whose sums have no rounding error, so that every kernel, in whatever order it adds, and every other runtime finds
 * the same bits. Where the step of the input is a power of two and a weight's step has few significant bits, a product of
 * codes is a whole number of units 2^e, and float32 holds sums of up to 2^24 units exactly: with 6 bits, sums of code
 * products up to 2^18. What else is added, the bias, has to be a number of those units too.
 */
import { activationQuantizer } from '../engine/quantizedInputs.ts';
import { FAKE_QUANTIZE, quantizerSettings, quantizerSteps } from '../engine/quantizer.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Graph, Tensor } from '../graph/types.ts';

/** Significant bits of a weight's step: it moves by 1/128 at most. */
const BITS = 6;

/** The layers that read an activation in steps of a power of two: those, by the layer's name. */
export function exactLayers(graph: Graph): Map<string, number> {
  const steps = new Map<string, number>();
  for (const node of graph.nodes) {
    const quantizer = activationQuantizer(graph, node);
    if (quantizer && quantizerSettings(node).powerOfTwo) steps.set(node.outputs[0]!, quantizer.scale);
  }
  const layers = new Map<string, number>();
  for (const { name, inputs } of graph.nodes) {
    const step = steps.get(inputs[0] ?? '');
    if (step !== undefined) layers.set(name, step);
  }
  return layers;
}

/** The graph with powers of two as scales where its quantizers took the powers of two next to their scales. */
export function settleSteps(graph: Graph): Graph {
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.map((node) => {
    const scale = node.op === FAKE_QUANTIZE ? graph.initializers.get(node.inputs[1]!) : undefined;
    if (!scale || !quantizerSettings(node).powerOfTwo) return node;
    initializers.set(node.inputs[1]!, floatTensor(scale.shape, quantizerSteps(node, scale.data as Float32Array)));
    const { powerOfTwo: _, ...attributes } = node.attributes;
    return { ...node, attributes };
  });
  return { ...graph, nodes, initializers };
}

/** The step with BITS significant bits. */
export function shortStep(step: number): number {
  const unit = unitOf(step);
  return unit > 0 ? Math.round(step / unit) * unit : step;
}

/** The bias in whole units of what its layer sums up. */
export function exactBias(bias: Tensor, inputStep: number, weightStep: (channel: number) => number): Tensor {
  const data = (bias.data as Float32Array).map((value, channel) => {
    const unit = inputStep * unitOf(weightStep(channel));
    return unit > 0 ? Math.round(value / unit) * unit : value;
  });
  return { ...bias, data };
}

/** The last significant bit of a step of BITS bits; 0 for 0. */
function unitOf(step: number): number {
  return step > 0 ? 2 ** (Math.floor(Math.log2(step)) - BITS + 1) : 0;
}
