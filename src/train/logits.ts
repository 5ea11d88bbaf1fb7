import { InputError } from '../graph/errors.ts';
import { removeDeadNodes } from '../graph/passes/deadNodes.ts';
import type { Graph } from '../graph/types.ts';

/**
 * The graph cut before a final Softmax or LogSoftmax, so that its first output is the logits that losses are made from.
 * A graph that ends otherwise comes back as it is.
 */
export function logitsGraph(graph: Graph): Graph {
  const output = graph.outputs[0];
  if (!output) throw new InputError('The model has no output');
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  let name = output.name;
  let cut = name;
  // A Softmax may be followed by nodes that only rename or reshape.
  for (let node = producers.get(name); node; node = producers.get(name)) {
    if (node.op === 'Softmax' || node.op === 'LogSoftmax') {
      cut = node.inputs[0];
      break;
    }
    if (!['Identity', 'Flatten', 'Reshape', 'Squeeze', 'Dropout'].includes(node.op)) break;
    name = node.inputs[0];
  }
  if (cut === output.name) return graph.outputs.length === 1 ? graph : { ...graph, outputs: [output] };
  return removeDeadNodes({ ...graph, outputs: [{ name: cut, dtype: 'float32' }] });
}
