import { numberAttribute } from '../attributes.ts';
import { floatTensor, numel, toFloat32 } from '../tensor.ts';
import type { Graph, Node, Tensor } from '../types.ts';
import { removeDeadNodes } from './deadNodes.ts';

/**
 * Folds every BatchNormalization (in evaluation) into the Conv before it, where nobody else reads that Conv and all
 * parameters are initializers: with f = scale / sqrt(variance + epsilon) per output channel, w' = f·w and
 * b' = f·(b − mean) + bias.
 */
export function foldBatchNorm(graph: Graph): Graph {
  const readers = new Map<string, number>();
  const count = (name: string): void => void readers.set(name, (readers.get(name) ?? 0) + 1);
  for (const node of graph.nodes) for (const input of node.inputs) count(input);
  for (const { name } of graph.outputs) count(name);

  const initializers = new Map(graph.initializers);
  const taken = new Set([
    ...initializers.keys(),
    ...graph.inputs.map(({ name }) => name),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  const add = (wanted: string, tensor: Tensor): string => {
    let name = wanted;
    for (let number = 2; taken.has(name); number++) name = `${wanted}_${number}`;
    taken.add(name);
    initializers.set(name, tensor);
    return name;
  };

  const nodes: Node[] = [];
  const convs = new Map<string, number>();
  for (const node of graph.nodes) {
    const at = node.op === 'BatchNormalization' ? convs.get(node.inputs[0] ?? '') : undefined;
    const conv = at === undefined ? undefined : nodes[at]!;
    const folded = conv && readers.get(conv.outputs[0]!) === 1 ? fold(conv, node, graph.initializers) : undefined;
    if (at !== undefined && conv && folded) {
      const weights = add(`${conv.inputs[1]}_folded`, folded.weights);
      const bias = add(`${conv.inputs[1]}_folded_bias`, folded.bias);
      nodes[at] = { ...conv, inputs: [conv.inputs[0]!, weights, bias], outputs: [node.outputs[0]!] };
      continue;
    }
    if (node.op === 'Conv' && node.outputs[0]) convs.set(node.outputs[0], nodes.length);
    nodes.push(node);
  }
  return removeDeadNodes({ ...graph, nodes, initializers });
}

function fold(
  conv: Node,
  norm: Node,
  initializers: ReadonlyMap<string, Tensor>,
): { weights: Tensor; bias: Tensor } | undefined {
  if (norm.attributes.training_mode || norm.outputs.slice(1).some((name) => name !== '')) return undefined;
  const weights = initializers.get(conv.inputs[1] ?? '');
  const oldBias = conv.inputs[2] ? initializers.get(conv.inputs[2]) : undefined;
  const parameters = norm.inputs.slice(1, 5).map((name) => initializers.get(name));
  if (!weights || (conv.inputs[2] && !oldBias) || parameters.length < 4) return undefined;
  const channels = weights.shape[0]!;
  if (!parameters.every((tensor) => tensor && numel(tensor.shape) === channels)) return undefined;
  const [scale, shift, mean, variance] = parameters.map((tensor) => toFloat32(tensor!));
  const epsilon = numberAttribute(norm, 'epsilon', 1e-5);
  const source = toFloat32(weights);
  const before = oldBias && toFloat32(oldBias);
  const w = new Float32Array(source.length);
  const b = new Float32Array(channels);
  const perChannel = channels === 0 ? 0 : source.length / channels;
  for (let channel = 0; channel < channels; channel++) {
    const factor = scale![channel]! / Math.sqrt(variance![channel]! + epsilon);
    for (let index = channel * perChannel; index < (channel + 1) * perChannel; index++)
      w[index] = source[index]! * factor;
    b[channel] = ((before?.[channel] ?? 0) - mean![channel]!) * factor + shift![channel]!;
  }
  return { weights: floatTensor(weights.shape, w), bias: floatTensor([channels], b) };
}
