import { intAttribute } from '../graph/attributes.ts';
import type { Graph, Node } from '../graph/types.ts';
import { inferRanks } from './ranks.ts';

/**
 * Before opset 13, Softmax and LogSoftmax flatten their input to two dimensions at `axis` (default 1) and normalise
 * rows. That is the modern operator where `axis` is the last one; otherwise the flattening is spelled out:
 * Flatten, Softmax, Reshape back to the shape of the input.
 */
export function modernizeSoftmax(
  graph: Graph,
  declaredRanks: ReadonlyMap<string, number>,
  unique: (name: string) => string,
): Graph {
  const isSoftmax = ({ op }: Node): boolean => op === 'Softmax' || op === 'LogSoftmax';
  if (!graph.nodes.some(isSoftmax)) return graph;
  const ranks = inferRanks(graph, declaredRanks);
  const nodes = graph.nodes.flatMap((node) => {
    if (!isSoftmax(node)) return [node];
    const axis = intAttribute(node, 'axis', 1);
    const [input, output] = [node.inputs[0] ?? '', node.outputs[0] ?? ''];
    const rank = ranks.get(input);
    if (axis === -1 || (rank !== undefined && axis === rank - 1)) {
      return [{ ...node, attributes: { ...node.attributes, axis: -1 } }];
    }
    const [flat, rows, shape] = ['flat', 'rows', 'shape'].map((part) => unique(`${node.name}_${part}`));
    const make = (
      part: string,
      op: string,
      inputs: string[],
      to: string,
      attributes: Node['attributes'] = {},
    ): Node => ({
      name: unique(`${node.name}_${part}`),
      op,
      inputs,
      outputs: [to],
      attributes,
    });
    return [
      make('flatten', 'Flatten', [input], flat!, { axis }),
      { ...node, inputs: [flat!], outputs: [rows!], attributes: { ...node.attributes, axis: -1 } },
      make('shape', 'Shape', [input], shape!),
      make('unflatten', 'Reshape', [rows!, shape!], output),
    ];
  });
  return { ...graph, nodes };
}
