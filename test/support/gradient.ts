import { expect } from 'vitest';
import { isFloat, toNumbers } from '../../src/graph/tensor.ts';
import type { Graph, Node, Tensor } from '../../src/graph/types.ts';
import { testGpu } from './gpu.ts';
import { randomFloats, relativeError } from './numbers.ts';
import { references } from './reference/index.ts';
import { type Array64, array64, type Reference } from './reference/reference.ts';
import { type GraphResult, runGraph } from './runGraph.ts';

export interface CheckedInput {
  shape: readonly number[];
  /** Uniform in [-1, 1) by default. Keep it away from kinks (0 of Relu, ties of MaxPool), where no derivative exists. */
  data?: ArrayLike<number>;
  /** Whether its gradient is checked. Default true. */
  wanted?: boolean;
  /** An initializer of the graph (a parameter) rather than an input. */
  initializer?: boolean;
}

export interface GradientCheck {
  op: string;
  attributes?: Node['attributes'];
  /** Float operands by position; undefined for an optional one that is absent or that `constants` holds. */
  inputs: readonly (CheckedInput | undefined)[];
  /** By input position: tensors that are known beforehand (axes, pads, running statistics); no gradients. */
  constants?: Readonly<Record<number, Tensor>>;
  /** How many outputs the node has. Default 1; the loss reads output 0 only. */
  outputs?: number;
  training?: boolean;
  /** Largest error over the tensor's scale, of gradients. Default 1e-4. */
  tolerance?: number;
  /** The same of the forward result. Default 1e-5. */
  forwardTolerance?: number;
  seed?: number;
  /** In place of the operator's own under test/support/reference, where the gradient is defined by another function. */
  reference?: Reference;
}

/** The name of the operand at a position of the node that is checked; outputs are y0, y1, …. */
const nameOf = (position: number) => `x${position}`;

/**
 * Checks one operator forward against its float64 reference, and its gradients, all together and each alone, against
 * central differences of that reference under the loss Σ dy·y with random dy. Returns the last GPU run, for more
 * assertions.
 */
export async function checkGradients(check: GradientCheck): Promise<GraphResult> {
  const { op, attributes = {}, constants = {}, training = false, tolerance = 1e-4, forwardTolerance = 1e-5 } = check;
  const reference = check.reference ?? references[op];
  if (!reference) throw new Error(`No reference of ${op}: add it under test/support/reference`);
  const seed = check.seed ?? 1;
  const positions = Math.max(check.inputs.length, ...Object.keys(constants).map((key) => Number(key) + 1));
  const names = Array.from({ length: positions }, (_, i) => (check.inputs[i] || constants[i] ? nameOf(i) : ''));
  const data = check.inputs.map((input, i) => {
    if (!input) return undefined;
    const elements = input.shape.reduce((product, length) => product * length, 1);
    return input.data ? Float32Array.from(input.data) : randomFloats(seed + 31 * i, elements);
  });

  const graph: Graph = {
    name: op,
    inputs: [],
    outputs: [{ name: 'y0', dtype: 'float32' }],
    nodes: [
      {
        name: op,
        op,
        inputs: names,
        outputs: Array.from({ length: check.outputs ?? 1 }, (_, i) => `y${i}`),
        attributes,
      },
    ],
    initializers: new Map(Object.entries(constants).map(([i, tensor]) => [nameOf(Number(i)), tensor])),
  };
  const inputs: Record<string, Float32Array<ArrayBuffer>> = {};
  check.inputs.forEach((input, i) => {
    if (!input) return;
    if (input.initializer) {
      graph.initializers.set(nameOf(i), { dtype: 'float32', shape: input.shape, data: data[i]! });
    } else {
      graph.inputs.push({ name: nameOf(i), dtype: 'float32', shape: [...input.shape] });
      inputs[nameOf(i)] = data[i]!;
    }
  });

  const operands: (Array64 | undefined)[] = names.map((_, i) => {
    const tensor = constants[i];
    const given = check.inputs[i];
    if (tensor)
      return array64(tensor.shape, isFloat(tensor.dtype) ? Array.from(tensor.data, Number) : toNumbers(tensor));
    return given && array64(given.shape, data[i]!);
  });
  const evaluate = () => reference({ attributes, inputs: operands, training })[0]!;

  const gpu = await testGpu();
  const expected = evaluate();
  const dy = randomFloats(seed + 977, expected.data.length);
  const wanted = check.inputs.flatMap((input, i) => (input && input.wanted !== false ? [i] : []));
  const differences = new Map(
    wanted.map((i) => [i, centralDifferences(operands[i]!.data, () => dot(evaluate().data, dy))]),
  );
  let result: GraphResult | undefined;
  for (const group of wanted.length > 1 ? [...wanted.map((i) => [i]), wanted] : [wanted]) {
    const seeds: Record<string, Float32Array<ArrayBuffer>> = group.length > 0 ? { y0: dy } : {};
    result = await runGraph(gpu, { graph, inputs, training, seeds, wanted: group.map(nameOf) });
    expect(relativeError(result.outputs.y0!, expected.data), `${op}: forward`).toBeLessThan(forwardTolerance);
    for (const i of group) {
      const error = gradientError(result.gradients[nameOf(i)]!, differences.get(i)!);
      expect(error, `${op}: gradient by input ${i}, wanted together: ${group.join(', ')}`).toBeLessThan(tolerance);
    }
  }
  return result!;
}

function dot(a: Float64Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

/**
 * Derivatives of `loss` by the elements of `x`, which is changed in place and put back. In float64 a step of 1e-5 leaves
 * errors near 1e-10 from the curvature and 1e-11 from rounding.
 */
export function centralDifferences(x: Float64Array, loss: () => number): Float64Array {
  return x.map((value, i) => {
    const h = 1e-5 * Math.max(1, Math.abs(value));
    x[i] = value + h;
    const above = loss();
    x[i] = value - h;
    const below = loss();
    x[i] = value;
    return (above - below) / (2 * h);
  });
}

/** As relativeError, but gradients that vanish altogether are compared with 1e-3 instead of with rounding errors. */
export function gradientError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const scale = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  return relativeError(actual, expected) * Math.min(1, scale / 1e-3);
}
