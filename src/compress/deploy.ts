import { FAKE_QUANTIZE, quantizerSettings } from '../engine/quantizer.ts';
import type { WeightEncoding } from '../format/encodedTensor.ts';
import { scaleIndexer } from '../format/encodedTensor.ts';
import { encodeModel } from '../format/encodeModel.ts';
import type { ModelMeta } from '../format/meta.ts';
import { numberAttribute } from '../graph/attributes.ts';
import { removeDeadNodes } from '../graph/passes/deadNodes.ts';
import { foldBatchNorm } from '../graph/passes/foldBatchNorm.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Graph, Node, Tensor } from '../graph/types.ts';
import { float16ToNumber, numberToFloat16 } from '../kernels/float16.ts';
import { exactBias, exactLayers, settleSteps, shortStep } from './exactSums.ts';

export type StoredFloat = 'float16' | 'float32';

interface Grid {
  bits: number;
  /** -1: one scale for the tensor. */
  axis: number;
  /** As it is stored. */
  scale: Float32Array;
  /** As it was trained. */
  trained: Float32Array;
  codes: Int8Array;
  /** All its layers have exact sums: steps are short. */
  exact: boolean;
}

/**
 * Lowers a trained graph to what is stored: the quantizers of weights become integers on a grid, normalisation is
 * folded into convolutions (into the scales, where the weight is quantized per output channel, so that the integers stay
 * as they were trained), and everything else is asked for in float16 or float32. The quantizers of activations stay in
 * the graph: they are part of what it computes. Where their steps are powers of two, steps of weights and biases are
 * rounded to what makes sums exact.
 */
export function deploy(source: Graph, store: StoredFloat): { graph: Graph; encodings: Map<string, WeightEncoding> } {
  const exact = exactLayers(source);
  const { graph: lowered, grids } = lowerWeights(settleSteps(source), store, exact);
  const folded = foldGrids(lowered, foldBatchNorm(lowered), grids, store);
  const graph = removeDeadNodes(folded);
  const initializers = new Map(graph.initializers);
  roundBiases(graph, grids, exact, initializers);
  const encodings = new Map<string, WeightEncoding>();
  for (const [name, tensor] of initializers) {
    if (tensor.dtype !== 'float32') continue;
    const grid = grids.get(name);
    if (grid) {
      const { bits, axis, scale } = grid;
      initializers.set(name, floatTensor(tensor.shape, gridValues(tensor.shape, grid)));
      encodings.set(name, { kind: 'int', bits, scale, ...(axis >= 0 && { axis }) });
    } else if (store === 'float16' && fitsFloat16(tensor) && !isScale(graph, name)) {
      encodings.set(name, { kind: 'f16' });
    } else {
      encodings.set(name, { kind: 'f32' });
    }
  }
  return { graph: { ...graph, initializers }, encodings };
}

/** The bytes of the compressed file of a trained graph. */
export function deployToBytes(source: Graph, store: StoredFloat, meta: ModelMeta): Uint8Array {
  const { graph, encodings } = deploy(source, store);
  return encodeModel(graph, encodings, meta);
}

/** Takes the quantizers of weights out; each weight they read gets a grid. */
function lowerWeights(
  source: Graph,
  store: StoredFloat,
  exact: ReadonlyMap<string, number>,
): { graph: Graph; grids: Map<string, Grid> } {
  const grids = new Map<string, Grid>();
  const renamed = new Map<string, string>();
  const initializers = new Map(source.initializers);
  const nodes: Node[] = [];
  for (const node of source.nodes) {
    const weight = node.op === FAKE_QUANTIZE ? initializers.get(node.inputs[0]) : undefined;
    if (!weight) {
      nodes.push({ ...node, inputs: node.inputs.map((name) => renamed.get(name) ?? name) });
      continue;
    }
    const readers = source.nodes.filter(({ inputs }) => inputs.includes(node.outputs[0]));
    const isExact = readers.every(({ name }) => exact.has(name));
    const grid = gridOf(node, weight, initializers.get(node.inputs[1]) as Tensor, store, isExact);
    const name = node.inputs[0];
    renamed.set(node.outputs[0], name);
    grids.set(name, grid);
    initializers.set(name, floatTensor(weight.shape, gridValues(weight.shape, grid)));
  }
  return { graph: { ...source, nodes, initializers }, grids };
}

function gridOf(node: Node, weight: Tensor, scaleTensor: Tensor, store: StoredFloat, exact: boolean): Grid {
  const { bits, axis, levels: range } = quantizerSettings(node);
  const trained = (scaleTensor.data as Float32Array).map(positive);
  const data = weight.data as Float32Array;
  const scaleOf = scaleIndexer(weight.shape, axis >= 0 ? { axis } : {});
  const codes = Int8Array.from(data, (value, i) => {
    const level = roundHalfEven(Math.fround(value / trained[scaleOf(i)]));
    return Math.min(Math.max(level, range.low), range.high);
  });
  return { bits, axis, trained, scale: trained.map((step) => storedScale(step, store, exact)), codes, exact };
}

/** As the quantizer's kernel takes a scale that training drove to zero or below. */
function positive(step: number): number {
  return step > 0 ? step : 1e-12;
}

/** Carries the grids over to the weights that the folding of normalisation made. */
function foldGrids(before: Graph, after: Graph, grids: Map<string, Grid>, store: StoredFloat): Graph {
  const norms = new Map(
    before.nodes.filter(({ op }) => op === 'BatchNormalization').map((node) => [node.outputs[0], node]),
  );
  const convs = new Map(before.nodes.filter(({ op }) => op === 'Conv').map((node) => [node.name, node]));
  for (const node of after.nodes) {
    const conv = node.op === 'Conv' ? convs.get(node.name) : undefined;
    const grid = conv && grids.get(conv.inputs[1]);
    const norm = norms.get(node.outputs[0]);
    if (!conv || !grid || !norm || node.inputs[1] === conv.inputs[1]) continue;
    const [gamma, , , variance] = norm.inputs
      .slice(1, 5)
      .map((name) => before.initializers.get(name)?.data as Float32Array);
    const epsilon = numberAttribute(norm, 'epsilon', 1e-5);
    const channels = gamma.length;
    const perChannel = grid.codes.length / channels;
    const factor = Float64Array.from(gamma, (value, channel) => value / Math.sqrt(variance[channel] + epsilon));
    const trained = Float32Array.from(factor, (f, channel) => Math.abs(f) * grid.trained[grid.axis >= 0 ? channel : 0]);
    grids.set(node.inputs[1], {
      bits: grid.bits,
      axis: 0,
      trained,
      scale: trained.map((step) => storedScale(step, store, grid.exact)),
      // A scale is never negative: a channel whose normalisation turns the sign turns its levels instead.
      codes: grid.codes.map((code, i) => (factor[Math.floor(i / perChannel)] < 0 ? -code : code)),
      exact: grid.exact,
    });
  }
  return after;
}

/** fl32(scale·level) for every element: what a reader of the file computes. */
function gridValues(shape: readonly number[], { codes, scale, axis }: Grid): Float32Array {
  const scaleOf = scaleIndexer(shape, axis >= 0 ? { axis } : {});
  // + 0: a scale of 0 would make -0 of negative levels, which a sparse file does not keep.
  return Float32Array.from(codes, (code, i) => Math.fround(scale[scaleOf(i)] * code) + 0);
}

/** Rounds the biases of layers with exact sums, those that one layer alone reads. */
function roundBiases(
  { nodes }: Graph,
  grids: ReadonlyMap<string, Grid>,
  exact: ReadonlyMap<string, number>,
  initializers: Map<string, Tensor>,
): void {
  for (const { name, op, inputs } of nodes) {
    const inputStep = exact.get(name);
    const grid = grids.get(inputs[1]);
    const bias = initializers.get(inputs[2] ?? '');
    if (!(op === 'Conv' || op === 'Gemm') || inputStep === undefined || !grid?.exact || !bias) continue;
    if (nodes.filter((node) => node.inputs.includes(inputs[2])).length > 1) continue;
    initializers.set(
      inputs[2],
      exactBias(bias, inputStep, (channel) => grid.scale[grid.axis >= 0 ? channel : 0]),
    );
  }
}

/** A scale as it can be stored: in float16 while that keeps its eleven bits. */
function storedScale(given: number, store: StoredFloat, exact: boolean): number {
  const step = exact ? shortStep(given) : given;
  const isNormalHalf = step >= 2 ** -14 && step <= 65504;
  return store === 'float16' && isNormalHalf ? float16ToNumber(numberToFloat16(step)) : Math.fround(step);
}

function fitsFloat16(tensor: Tensor): boolean {
  return (tensor.data as Float32Array).every((value) => Math.abs(value) <= 65504);
}

function isScale(graph: Graph, name: string): boolean {
  return graph.nodes.some(({ op, inputs }) => op === FAKE_QUANTIZE && inputs[1] === name);
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
