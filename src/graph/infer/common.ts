import { describe } from '../attributes.ts';
import { InputError } from '../errors.ts';
import { toNumbers } from '../tensor.ts';
import type { Node, Tensor } from '../types.ts';

/**
 * Shapes of a node's outputs from the shapes of its inputs. `inputs[i]` and `constants[i]` are undefined for an absent
 * optional input; `constants[i]` also where the value is only known when the graph runs.
 */
export type InferShape = (
  node: Node,
  inputs: (readonly number[] | undefined)[],
  constants: (Tensor | undefined)[],
) => number[][];

export type InferLookup = (op: string) => InferShape | undefined;

export function requireShape(
  node: Node,
  inputs: (readonly number[] | undefined)[],
  index: number,
  what: string,
): readonly number[] {
  const shape = inputs[index];
  if (!shape) throw new InputError(`${describe(node)} lacks its input ${index} (${what})`);
  return shape;
}

/** Integers of an input that has to be known before the graph runs (axes, pads, a shape). */
export function requireIntegers(
  node: Node,
  constants: (Tensor | undefined)[],
  index: number,
  what: string,
  length?: number,
): number[] {
  const values = optionalIntegers(node, constants, index, what);
  if (!values) throw new InputError(`${describe(node)} lacks its input ${index} (${what})`);
  if (length !== undefined && values.length !== length) {
    throw new InputError(`${describe(node)} has ${values.length} values in ${what} where ${length} are needed`);
  }
  return values;
}

export function optionalIntegers(
  node: Node,
  constants: (Tensor | undefined)[],
  index: number,
  what: string,
): number[] | undefined {
  if (!node.inputs[index]) return undefined;
  const tensor = constants[index];
  if (!tensor) {
    throw new InputError(`${describe(node)} takes its ${what} from a value that depends on the data, not on shapes`);
  }
  const values = toNumbers(tensor);
  if (!values.every(Number.isSafeInteger)) {
    throw new InputError(`${describe(node)} has ${what} that are no integers`);
  }
  return values;
}

/** A possibly negative axis as one of 0..rank-1. */
export function resolveAxis(node: Node, axis: number, rank: number): number {
  if (axis < -rank || axis >= rank) {
    throw new InputError(`${describe(node)} names axis ${axis} of a tensor with ${rank} dimensions`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** Distinct resolved axes, in the order given. */
export function resolveAxes(node: Node, axes: readonly number[], rank: number): number[] {
  const resolved = axes.map((axis) => resolveAxis(node, axis, rank));
  if (new Set(resolved).size !== resolved.length) {
    throw new InputError(`${describe(node)} names an axis twice in [${axes.join(', ')}]`);
  }
  return resolved;
}

/** NumPy's multidirectional broadcasting. */
export function broadcastShapes(node: Node, shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    const shift = rank - shape.length;
    for (let axis = 0; axis < shape.length; axis++) {
      const dim = shape[axis]!;
      const known = result[shift + axis]!;
      if (dim === known || dim === 1) continue;
      if (known !== 1) {
        const list = shapes.map((other) => `[${other.join(', ')}]`).join(' and ');
        throw new InputError(`${describe(node)} combines ${list}, which do not broadcast`);
      }
      result[shift + axis] = dim;
    }
  }
  return result;
}
