import { inferDTypes } from './dtypes.ts';
import { InputError } from './errors.ts';
import { exportedBatch } from './exportedBatch.ts';
import { removeDeadNodes } from './passes/deadNodes.ts';
import { removeIdentities } from './passes/identities.ts';
import { identifyNoOps } from './passes/noOps.ts';
import { type GraphRules, propagate } from './propagate.ts';
import { isFloat } from './tensor.ts';
import type { DType, Graph, Node, ValueInfo } from './types.ts';

export interface SpecializeOptions {
  /** Length of the first dimension of the inputs. Default: as exported, or 1 where it is symbolic. */
  batch?: number | undefined;
  /** Shapes of single inputs, for those with symbolic dimensions besides the first. */
  inputShapes?: Readonly<Record<string, readonly number[]>> | undefined;
}

/**
 * The graph for fixed shapes: every shape static, everything that only computes shapes or re-arranges constants folded
 * into initializers, no-ops and unused nodes gone. What is left is computation on data, and graph outputs that turned
 * out constant, which are initializers then. `shapes` holds the shape of every value of the result.
 */
export function specializeWith(
  graph: Graph,
  rules: GraphRules,
  options: SpecializeOptions = {},
): { graph: Graph; shapes: Map<string, number[]> } {
  for (const name of Object.keys(options.inputShapes ?? {})) {
    if (!graph.inputs.some((input) => input.name === name))
      throw new InputError(`a shape is given for '${name}', which is no input of the model`);
  }
  const inputShapes = inputShapesFor(graph, options);
  let general = graph;
  if (isExportedOtherwise(graph, inputShapes)) {
    if (!rules.generalize) throw new Error(`${graph.name} was exported for another batch: generalize is missing`);
    general = rules.generalize(graph, rules);
  }
  const { shapes, constants, nodes } = propagate(general, rules, inputShapes);
  const folded = {
    ...general,
    nodes: nodes.filter((node) => !node.outputs.every((name) => name === '' || constants.has(name))),
    initializers: constants,
  };
  const clean = removeDeadNodes(removeIdentities(identifyNoOps(dropFloatCasts(folded), shapes)));
  // Names may have moved onto graph outputs, and unused values are gone: look at the result once more.
  const final = propagate(clean, rules, inputShapes).shapes;
  const fix = (info: ValueInfo): ValueInfo => {
    const shape = final.get(info.name);
    return shape ? { ...info, shape: [...shape] } : info;
  };
  return {
    graph: { ...clean, inputs: clean.inputs.map(fix), outputs: clean.outputs.map(fix) },
    shapes: final,
  };
}

/** Shapes of the inputs as they are asked for. @throws InputError where they do not fit those of the graph */
export function inputShapesFor(graph: Graph, options: SpecializeOptions): Map<string, number[]> {
  const exported = exportedBatch(graph);
  return new Map(graph.inputs.map((input) => [input.name, resolveInput(input, exported, options)]));
}

/** Whether the graph was exported for another batch than these shapes have. */
export function isExportedOtherwise(graph: Graph, inputShapes: ReadonlyMap<string, readonly number[]>): boolean {
  return graph.inputs.some(({ name, shape }) => {
    return typeof shape?.[0] === 'number' && shape[0] !== inputShapes.get(name)![0];
  });
}

function resolveInput(
  { name, shape }: ValueInfo,
  exported: number | undefined,
  { batch, inputShapes }: SpecializeOptions,
): number[] {
  const given = inputShapes && Object.hasOwn(inputShapes, name) ? inputShapes[name] : undefined;
  if (given) {
    if (shape && shape.length !== given.length) {
      throw new InputError(
        `input '${name}' has ${shape.length} dimensions, but the shape [${given.join(', ')}] is asked`,
      );
    }
    shape?.forEach((dim, axis) => {
      if (axis > 0 && typeof dim === 'number' && dim !== given[axis]) {
        throw new InputError(`input '${name}' is [${shape.join(', ')}], but the shape [${given.join(', ')}] is asked`);
      }
    });
    return [...given];
  }
  if (!shape) throw new InputError(`input '${name}' has no shape in the model; give one`);
  return shape.map((dim, axis) => {
    if (axis === 0 && batch !== undefined && (typeof dim === 'string' || dim === exported)) return batch;
    if (typeof dim === 'number') return dim;
    if (axis === 0) return 1;
    throw new InputError(
      `input '${name}' has the symbolic dimension '${dim}' in [${shape.join(', ')}]; give its shape`,
    );
  });
}

/**
 * Graphs compute in float32 alone, so casts between float types do nothing. A graph input of integers (pixels) that is
 * only ever cast to float is taken as float32 right away.
 */
function dropFloatCasts(graph: Graph): Graph {
  const toFloat = ({ op, attributes }: Node): boolean =>
    op === 'Cast' && typeof attributes.to === 'string' && isFloat(attributes.to as DType);
  const readAsIs = new Set(graph.nodes.flatMap((node) => (toFloat(node) ? [] : node.inputs)));
  for (const { name } of graph.outputs) readAsIs.add(name);
  const inputs = graph.inputs.map((input) =>
    readAsIs.has(input.name) ? input : { ...input, dtype: 'float32' as const },
  );
  const dtypes = inferDTypes({ ...graph, inputs });
  const nodes = graph.nodes.map((node) => {
    const from = dtypes.get(node.inputs[0] ?? '');
    return from && isFloat(from) && toFloat(node) ? { ...node, op: 'Identity', attributes: {} } : node;
  });
  return { ...graph, inputs, nodes };
}
