import { describe } from './attributes.ts';
import { InputError } from './errors.ts';
import { type FoldNode, foldBudget } from './fold/folding.ts';
import type { InferLookup } from './infer/common.ts';
import { inferShapeOfOperator } from './infer/inferers.ts';
import { numel } from './tensor.ts';
import type { Graph, Node, Tensor } from './types.ts';

/** What is known about a graph's values before it runs. */
export interface Known {
  /** Shape of every value that could be inferred. */
  shapes: Map<string, number[]>;
  /** Initializers, and what was folded out of them and out of shapes. */
  constants: Map<string, Tensor>;
}

/** What is known of operators. */
export interface GraphRules {
  infer: InferLookup;
  fold: FoldNode | undefined;
  /** `generalizeBatch`; may be absent where a graph is wanted for the batch that it was exported for. */
  generalize?: ((graph: Graph, rules: GraphRules) => Graph) | undefined;
}

/**
 * Walks the graph once and infers shapes and folds constants side by side (shapes may depend on folded values, and
 * those on shapes). Values behind an operator without a shape rule stay unknown. `rewrite` may replace a node just
 * before it is looked at; the nodes as they were looked at are returned.
 * @param rules.fold `foldNode`, or nothing for a graph in which there is nothing to fold
 */
export function propagate(
  graph: Graph,
  { infer: lookup, fold }: GraphRules,
  inputShapes: ReadonlyMap<string, readonly number[]>,
  rewrite: (node: Node, known: Known) => Node = (node) => node,
): Known & { nodes: Node[] } {
  const shapes = new Map<string, number[]>();
  const constants = new Map(graph.initializers);
  const budget = foldBudget(graph.initializers.values());
  for (const [name, tensor] of graph.initializers) shapes.set(name, [...tensor.shape]);
  for (const [name, shape] of inputShapes) {
    numel(shape);
    shapes.set(name, [...shape]);
  }
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node = rewrite(original, { shapes, constants });
    nodes.push(node);
    const infer = lookup(node.op) ?? inferShapeOfOperator(node.op);
    const known = node.inputs.map((name) => (name === '' ? undefined : shapes.get(name)));
    if (!infer || node.inputs.some((name, index) => name !== '' && !known[index])) continue;
    const values = node.inputs.map((name) => (name === '' ? undefined : constants.get(name)));
    const inferred = infer(node, known, values);
    if (node.outputs.length > inferred.length) {
      throw new InputError(
        `${describe(node)} has ${node.outputs.length} outputs; at most ${inferred.length} are known`,
      );
    }
    const outputs = inferred.slice(0, node.outputs.length);
    for (const shape of outputs) checkSize(node, shape);
    const folded = fold?.(node, values, known, outputs, budget);
    node.outputs.forEach((name, index) => {
      if (name === '') return;
      shapes.set(name, outputs[index]!);
      if (folded) constants.set(name, folded[index]!);
    });
  }
  return { shapes, constants, nodes };
}

function checkSize(node: Node, shape: readonly number[]): void {
  try {
    numel(shape);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${describe(node)}: ${error.message}`);
    throw error;
  }
}
