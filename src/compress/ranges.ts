import { FAKE_QUANTIZE } from '../engine/quantizer.ts';
import type { Graph } from '../graph/types.ts';

const KEEPS_SIGN: ReadonlySet<string> = new Set([
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'Flatten',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Slice',
  'Identity',
  'Dropout',
  'ReduceMean',
  'Concat',
  'Add',
]);

/**
 * Names of the values that are never negative, so that their quantizer need not spend a level on a sign: what comes out
 * of Relu, Sigmoid, Softmax, a Clip from zero, and of operators that keep the sign of such values. Pad with zeros too.
 */
export function nonNegativeValues(graph: Graph): Set<string> {
  const known = new Set<string>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.filter((name) => name && (!graph.initializers.has(name) || node.op === 'Add'));
    const nonNegative =
      node.op === 'Relu' ||
      node.op === 'Sigmoid' ||
      node.op === 'Softmax' ||
      (node.op === 'Clip' && Number(graph.initializers.get(node.inputs[1])?.data[0] ?? -1) >= 0) ||
      (node.op === FAKE_QUANTIZE && node.attributes.signed === 0) ||
      (node.op === 'Pad' &&
        known.has(node.inputs[0]) &&
        Number(graph.initializers.get(node.inputs[2])?.data[0] ?? 0) >= 0) ||
      (KEEPS_SIGN.has(node.op) && inputs.length > 0 && inputs.every((name) => known.has(name)));
    if (nonNegative) for (const name of node.outputs) known.add(name);
  }
  return known;
}
