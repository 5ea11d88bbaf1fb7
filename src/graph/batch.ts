import { describe, intAttribute } from './attributes.ts';
import { InputError } from './errors.ts';
import { exportedBatch } from './exportedBatch.ts';
import { resolveReshape } from './infer/layout.ts';
import { type GraphRules, type Known, propagate } from './propagate.ts';
import { int64Tensor, numel, toNumbers } from './tensor.ts';
import type { Dim, Graph, Node, Tensor } from './types.ts';

/** The name that the batch dimension gets. */
export const batchDim = 'batch';

/** A batch that is unlikely to equal any other length in the model, to tell the batch dimension from the others. */
const probe = 8191;

/**
 * Makes a model that was exported for a fixed batch run at any: the first dimension of its inputs becomes symbolic, and
 * constant Reshape targets that spell out the exported batch are rewritten to take it from their input.
 *
 * A Reshape is rewritten where its input carries the batch in front, its target begins with the exported batch, and
 * what follows is exactly one sample. In the end every output must carry the batch in front and be unchanged otherwise;
 * a model for which that does not hold mixes the samples of a batch, and is refused.
 */
export function generalizeBatch(graph: Graph, rules: GraphRules): Graph {
  const exported = exportedBatch(graph);
  if (exported === undefined) return graph;
  const batched = new Set(
    graph.inputs.filter(({ shape }) => shape !== undefined && shape[0] === exported).map(({ name }) => name),
  );
  const at = (batch: number): Map<string, number[]> =>
    new Map(
      graph.inputs.map(({ name, shape = [] }) => [
        name,
        (batched.has(name) ? [batch, ...shape.slice(1)] : [...shape]).map((dim: Dim) => {
          // Other symbolic lengths do not take part in what is compared here; any number serves.
          return typeof dim === 'number' ? dim : 1;
        }),
      ]),
    );
  const before = propagate(graph, rules, at(exported));
  const added = new Map<string, Tensor>();
  const after = propagate(graph, rules, at(probe), (node, known) =>
    rewriteNode(node, exported, graph, known, before, added),
  );
  const outputs = graph.outputs.map((output) => {
    const [old, now] = [before.shapes.get(output.name), after.shapes.get(output.name)];
    if (!old || !now) return output;
    const rest = now.slice(1);
    const same = (expected: readonly number[]): boolean =>
      rest.length === expected.length && rest.every((dim, axis) => dim === expected[axis]);
    if (now[0] !== probe || !(same(old.slice(1)) || same(old))) {
      throw new InputError(
        `the output '${output.name}' has the shape [${old.join(', ')}], in which samples of a batch cannot be told ` +
          `apart; the model was exported for a batch of ${exported} only, export it with a dynamic batch`,
      );
    }
    return { ...output, shape: [batchDim, ...rest] };
  });
  return {
    ...graph,
    inputs: graph.inputs.map((input) =>
      batched.has(input.name) ? { ...input, shape: [batchDim, ...(input.shape ?? []).slice(1)] } : input,
    ),
    outputs,
    nodes: after.nodes,
    initializers: new Map([...graph.initializers, ...added]),
  };
}

function rewriteNode(
  node: Node,
  exported: number,
  graph: Graph,
  now: Known,
  before: Known,
  added: Map<string, Tensor>,
): Node {
  const [data, output] = [node.inputs[0] ?? '', node.outputs[0] ?? ''];
  const [shape, oldShape, oldResult] = [now.shapes.get(data), before.shapes.get(data), before.shapes.get(output)];
  // Only what carries the batch in front: its first length follows the probe.
  if (!shape || !oldShape || !oldResult || shape[0] !== probe || oldShape[0] !== exported) return node;
  const constant = (name: string, values: number[]): string => {
    const unique = uniqueName(`${node.name}_${name}`, graph, added);
    const tensor = int64Tensor(values);
    added.set(unique, tensor);
    // The walk is about to look at the rewritten node.
    now.constants.set(unique, tensor);
    now.shapes.set(unique, [values.length]);
    return unique;
  };
  switch (node.op) {
    case 'Reshape': {
      const target = now.constants.get(node.inputs[1] ?? '');
      const perSample = numel(oldShape.slice(1));
      if (!target || oldResult[0] !== exported || numel(oldResult.slice(1)) !== perSample || perSample === 0) {
        return node;
      }
      const allowZero = intAttribute(node, 'allowzero', 0) !== 0;
      if (fits(node, shape, toNumbers(target), allowZero, oldResult)) return node;
      const attributes = { ...node.attributes };
      delete attributes.allowzero;
      return { ...node, inputs: [data, constant('shape', [-1, ...oldResult.slice(1)])], attributes };
    }
    case 'Flatten':
      // [1, c, h, w] flattened from axis 0 is one row: the row of the only sample.
      return intAttribute(node, 'axis', 1) === 0 && exported === 1
        ? { ...node, attributes: { ...node.attributes, axis: 1 } }
        : node;
    case 'Squeeze': {
      // A batch of 1 that is squeezed away right before the output comes back as the leading dimension.
      const isLast = graph.outputs.some(({ name }) => name === output);
      const squeezesBatch = oldShape.length - oldResult.length > shape.slice(1).filter((dim) => dim === 1).length;
      const axes = node.inputs[1] ? now.constants.get(node.inputs[1]) : undefined;
      const namesBatch = axes && toNumbers(axes).some((axis) => axis === 0 || axis === -oldShape.length);
      if (exported !== 1 || !(namesBatch || (!node.inputs[1] && squeezesBatch))) return node;
      if (!isLast) {
        throw new InputError(`${describe(node)} squeezes the batch of 1 away; export the model with a dynamic batch`);
      }
      const kept = axes
        ? toNumbers(axes).filter((axis) => axis !== 0 && axis !== -oldShape.length)
        : shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
      return { ...node, inputs: [data, constant('axes', kept)] };
    }
    default:
      return node;
  }
}

/** Whether a Reshape target, as it is, gives the old result with only the batch changed. */
function fits(
  node: Node,
  shape: readonly number[],
  target: readonly number[],
  allowZero: boolean,
  oldResult: readonly number[],
): boolean {
  try {
    const result = resolveReshape(node, shape, target, allowZero);
    return result[0] === probe && result.length === oldResult.length;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}

function uniqueName(wanted: string, graph: Graph, added: ReadonlyMap<string, Tensor>): string {
  const taken = new Set<string>([
    ...graph.initializers.keys(),
    ...added.keys(),
    ...graph.inputs.map(({ name }) => name),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  let name = wanted;
  for (let number = 2; taken.has(name); number++) name = `${wanted}_${number}`;
  return name;
}
