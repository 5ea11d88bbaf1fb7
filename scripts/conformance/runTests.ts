import { InputError } from '../../src/graph/errors.ts';
import { bindInputs } from '../../src/graph/passes/bindInputs.ts';
import type { InferLookup } from '../../src/graph/shapes.ts';
import { specialize } from '../../src/graph/specialize.ts';
import { isFloat, toFloat32, widenToFloat32 } from '../../src/graph/tensor.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import { refuseUnsupported } from '../../src/graph/unsupported.ts';
import { importOnnx } from '../../src/onnx/import.ts';
import { readTensorFile } from '../../src/onnx/tensorProto.ts';
import type { NodeTest } from './nodeTests.ts';

export interface CaseResult {
  name: string;
  /** The operator of a one-node model; otherwise the first ones, joined by +. */
  operator: string;
  status: 'pass' | 'fail' | 'skip';
  /** Computed while compiling, on the host (operators that only compute shapes), with nothing left to execute. */
  folded?: boolean;
  /** Why it failed or was skipped. */
  reason?: string;
}

export interface Executor {
  /** Operators that `runGraph` executes. */
  supported: ReadonlySet<string>;
  lookup: InferLookup;
  /** Executes a specialised graph: values of its inputs in, values of its outputs back. */
  runGraph: (graph: Graph, inputs: Map<string, Tensor>) => Promise<Map<string, Tensor>>;
}

/** The node tests were written against the newest opset; those that we read mean the same as in opset 23. */
const maxOpset = 25;
/** Tolerances of the ONNX backend test runner: |actual − expected| ≤ atol + rtol·|expected|. */
const relativeTolerance = 1e-3;
const absoluteTolerance = 1e-7;

export async function runNodeTest(test: NodeTest, executor: Executor): Promise<CaseResult> {
  let operator = operatorFromName(test.name);
  let folded = true;
  try {
    const imported = importOnnx(test.model, { fileName: test.name, maxOpset });
    operator = operatorsOf(imported);
    for (const { inputs, outputs } of test.dataSets) {
      const given = new Map<string, Tensor>();
      inputs.forEach((bytes, index) => {
        const info = imported.inputs[index];
        // Identity's input may be optional or a sequence: such models do not get here.
        if (info) given.set(info.name, readTensorFile(bytes).tensor);
      });
      const expected = outputs.map((bytes) => readTensorFile(bytes).tensor);
      const actual = await execute(imported, given, executor);
      folded &&= actual.folded;
      for (const [index, tensor] of expected.entries()) {
        const name = imported.outputs[index]?.name ?? '';
        const difference = compare(actual.values.get(name), tensor);
        if (difference) return { name: test.name, operator, status: 'fail', reason: `output '${name}' ${difference}` };
      }
    }
    return { name: test.name, operator, status: 'pass', ...(folded && { folded }) };
  } catch (error) {
    if (error instanceof InputError) return { name: test.name, operator, status: 'skip', reason: error.message };
    return { name: test.name, operator, status: 'fail', reason: (error as Error).message };
  }
}

/**
 * Inputs of node tests that a model keeps as initializers: whatever is not float, and the operands below. They become
 * initializers here too.
 */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  BatchNormalization: [1, 2, 3, 4],
  Clip: [1, 2],
  Pad: [1, 2, 3],
};
/** Operators that models use to compute shapes: they are folded, so all that they read has to be constant. */
const shapeOperators = new Set(['Gather', 'Cast', 'CastLike', 'ConstantOfShape', 'Range', 'Expand', 'Split']);

function constantInputs(
  graph: Graph,
  given: ReadonlyMap<string, Tensor>,
  supported: ReadonlySet<string>,
): Map<string, Tensor> {
  const names = new Set([...given].filter(([, { dtype }]) => !isFloat(dtype)).map(([name]) => name));
  for (const node of graph.nodes) {
    for (const index of Object.hasOwn(weightInputs, node.op) ? weightInputs[node.op]! : []) {
      if (node.inputs[index]) names.add(node.inputs[index]);
    }
    // Alone in its model: in a longer one, folding it would fold everything and test nothing.
    if (graph.nodes.length === 1 && shapeOperators.has(node.op) && !supported.has(node.op)) {
      for (const input of node.inputs) names.add(input);
    }
  }
  return new Map([...given].filter(([name]) => names.has(name)));
}

async function execute(
  imported: Graph,
  given: ReadonlyMap<string, Tensor>,
  { supported, lookup, runGraph }: Executor,
): Promise<{ values: Map<string, Tensor>; folded: boolean }> {
  const bound = bindInputs(imported, constantInputs(imported, given, supported));
  const inputShapes = Object.fromEntries(bound.inputs.map(({ name }) => [name, given.get(name)?.shape ?? []]));
  const { graph } = specialize(bound, lookup, { inputShapes });
  refuseUnsupported(graph, supported);
  // Outputs that folding made constant are known; the rest is executed.
  const values = new Map<string, Tensor>();
  for (const { name } of graph.outputs) {
    const constant = graph.initializers.get(name);
    if (constant) values.set(name, constant);
  }
  const open = graph.outputs.filter(({ name }) => !values.has(name));
  if (open.length === 0) return { values, folded: true };
  const feeds = new Map(graph.inputs.map(({ name }) => [name, given.get(name)!]));
  for (const [name, tensor] of await runGraph({ ...graph, outputs: open }, feeds)) values.set(name, tensor);
  return { values, folded: false };
}

/** Undefined where they agree, else how they differ. */
function compare(actual: Tensor | undefined, stored: Tensor): string | undefined {
  const expected = widenToFloat32(stored);
  if (!actual) return 'is missing';
  if (actual.dtype !== expected.dtype) return `is ${actual.dtype} where ${expected.dtype} is expected`;
  if (actual.shape.join() !== expected.shape.join()) {
    return `is [${actual.shape.join(', ')}] where [${expected.shape.join(', ')}] is expected`;
  }
  if (!isFloat(expected.dtype)) {
    const at = expected.data.findIndex((value, index) => value !== actual.data[index]);
    return at < 0 ? undefined : `is ${actual.data[at]} at ${at} where ${expected.data[at]} is expected`;
  }
  const [a, b] = [toFloat32(actual), toFloat32(expected)];
  for (let index = 0; index < b.length; index++) {
    const [x, y] = [a[index]!, b[index]!];
    const equal = Object.is(x, y) || x === y || Math.abs(x - y) <= absoluteTolerance + relativeTolerance * Math.abs(y);
    if (!equal) return `is ${x} at ${index} where ${y} is expected`;
  }
  return undefined;
}

function operatorsOf(graph: Graph): string {
  const operators = [...new Set(graph.nodes.map(({ op }) => op))];
  // What is left of a model that was one Constant is an initializer.
  if (operators.length === 0) return 'Constant';
  return operators.length > 3 ? `${operators.slice(0, 3).join('+')}+…` : operators.join('+');
}

/** For models that cannot be read: test_split_to_sequence_1 → split_to_sequence_1. */
function operatorFromName(name: string): string {
  return name.replace(/^test_/, '');
}
