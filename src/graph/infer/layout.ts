import { describe, intAttribute, intsAttribute, stringAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import { numel } from '../tensor.ts';
import type { Node, Tensor } from '../types.ts';
import {
  type InferShape,
  optionalIntegers,
  requireIntegers,
  requireShape,
  resolveAxes,
  resolveAxis,
} from './common.ts';

export const inferFlatten: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  const axis = intAttribute(node, 'axis', 1);
  // The axis may equal the rank: then everything is rows.
  const split = axis === x.length ? axis : resolveAxis(node, axis, x.length);
  return [[numel(x.slice(0, split)), numel(x.slice(split))]];
};

/** A Reshape target with 0 (copy the input's length, unless allowZero) and one -1 (whatever is left) filled in. */
export function resolveReshape(
  node: Node,
  shape: readonly number[],
  target: readonly number[],
  allowZero: boolean,
): number[] {
  const refuse = (): never => {
    throw new InputError(`${describe(node)} cannot make [${target.join(', ')}] of [${shape.join(', ')}]`);
  };
  const result = target.map((dim, axis) => (dim === 0 && !allowZero ? (shape[axis] ?? refuse()) : dim));
  const free = result.indexOf(-1);
  if (result.some((dim, axis) => dim < 0 && axis !== free)) refuse();
  const total = numel(shape);
  if (free >= 0) {
    const rest = numel(result.filter((_, axis) => axis !== free));
    if (rest === 0 || total % rest !== 0) refuse();
    result[free] = total / rest;
  }
  if (numel(result) !== total) refuse();
  return result;
}

export const inferReshape: InferShape = (node, inputs, constants) => [
  resolveReshape(
    node,
    requireShape(node, inputs, 0, 'data'),
    requireIntegers(node, constants, 1, 'shape'),
    intAttribute(node, 'allowzero', 0) !== 0,
  ),
];

/** The permutation of a Transpose (default: all axes reversed). */
export function resolvePermutation(node: Node, rank: number): number[] {
  const perm = intsAttribute(node, 'perm', rank);
  if (!perm) return Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  return resolveAxes(node, perm, rank);
}

export const inferTranspose: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  return [resolvePermutation(node, x.length).map((axis) => x[axis]!)];
};

/** Axes that a Squeeze drops (default: all of length 1). */
export function resolveSqueezeAxes(node: Node, shape: readonly number[], constants: (Tensor | undefined)[]): number[] {
  const axes = optionalIntegers(node, constants, 1, 'axes');
  if (!axes) return shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
  const resolved = resolveAxes(node, axes, shape.length);
  for (const axis of resolved) {
    if (shape[axis] !== 1) {
      throw new InputError(`${describe(node)} squeezes axis ${axis} of [${shape.join(', ')}], which is not 1`);
    }
  }
  return resolved;
}

export const inferSqueeze: InferShape = (node, inputs, constants) => {
  const x = requireShape(node, inputs, 0, 'x');
  const dropped = new Set(resolveSqueezeAxes(node, x, constants));
  return [x.filter((_, axis) => !dropped.has(axis))];
};

export const inferUnsqueeze: InferShape = (node, inputs, constants) => {
  const x = requireShape(node, inputs, 0, 'x');
  const axes = requireIntegers(node, constants, 1, 'axes');
  const rank = x.length + axes.length;
  const inserted = new Set(resolveAxes(node, axes, rank));
  const rest = x.values();
  return [Array.from({ length: rank }, (_, axis) => (inserted.has(axis) ? 1 : (rest.next().value as number)))];
};

export const inferConcat: InferShape = (node, inputs) => {
  const first = requireShape(node, inputs, 0, 'input');
  const axis = resolveAxis(node, intAttribute(node, 'axis'), first.length);
  const result = [...first];
  for (let index = 1; index < node.inputs.length; index++) {
    const shape = requireShape(node, inputs, index, 'input');
    if (shape.length !== first.length || shape.some((dim, other) => other !== axis && dim !== first[other])) {
      throw new InputError(
        `${describe(node)} joins [${first.join(', ')}] and [${shape.join(', ')}] along axis ${axis}, which do not fit`,
      );
    }
    result[axis]! += shape[axis]!;
  }
  return [result];
};

/** Lengths of the pieces of a Split along its axis. */
export const inferSplit: InferShape = (node, inputs, constants) => {
  const x = requireShape(node, inputs, 0, 'input');
  const axis = resolveAxis(node, intAttribute(node, 'axis', 0), x.length);
  const count = node.outputs.length;
  const total = x[axis]!;
  const chunk = Math.ceil(total / count);
  const sizes =
    optionalIntegers(node, constants, 1, 'split') ??
    Array.from({ length: count }, (_, index) => Math.max(0, Math.min(chunk, total - index * chunk)));
  if (
    sizes.length !== count ||
    sizes.some((size) => size < 0) ||
    sizes.reduce((sum, size) => sum + size, 0) !== total
  ) {
    throw new InputError(
      `${describe(node)} splits a length of ${total} into [${sizes.join(', ')}] for ${count} outputs`,
    );
  }
  return sizes.map((size) => x.map((dim, other) => (other === axis ? size : dim)));
};

export const inferGather: InferShape = (node, inputs) => {
  const data = requireShape(node, inputs, 0, 'data');
  const indices = requireShape(node, inputs, 1, 'indices');
  const axis = resolveAxis(node, intAttribute(node, 'axis', 0), data.length);
  return [[...data.slice(0, axis), ...indices, ...data.slice(axis + 1)]];
};

/** Per axis: first index, signed step and number of elements. */
export interface SliceGeometry {
  starts: number[];
  steps: number[];
  sizes: number[];
}

export function sliceGeometry(node: Node, shape: readonly number[], constants: (Tensor | undefined)[]): SliceGeometry {
  const starts = requireIntegers(node, constants, 1, 'starts');
  const ends = requireIntegers(node, constants, 2, 'ends', starts.length);
  const axes = optionalIntegers(node, constants, 3, 'axes') ?? starts.map((_, axis) => axis);
  const steps = optionalIntegers(node, constants, 4, 'steps') ?? starts.map(() => 1);
  if (axes.length !== starts.length || steps.length !== starts.length) {
    throw new InputError(`${describe(node)} has starts, axes and steps of different lengths`);
  }
  const result: SliceGeometry = { starts: shape.map(() => 0), steps: shape.map(() => 1), sizes: [...shape] };
  resolveAxes(node, axes, shape.length).forEach((axis, index) => {
    const dim = shape[axis]!;
    const step = steps[index]!;
    if (step === 0) throw new InputError(`${describe(node)} has a step of 0`);
    const [low, high] = step > 0 ? [0, dim] : [-1, dim - 1];
    const clamp = (value: number): number => Math.max(low, Math.min(high, value < 0 ? value + dim : value));
    const start = Math.max(0, clamp(starts[index]!));
    result.starts[axis] = start;
    result.steps[axis] = step;
    result.sizes[axis] = Math.max(0, Math.ceil((clamp(ends[index]!) - start) / step));
  });
  return result;
}

export const inferSlice: InferShape = (node, inputs, constants) => [
  sliceGeometry(node, requireShape(node, inputs, 0, 'data'), constants).sizes,
];

/** Per axis: elements added before and after; negative ones are cut off. */
export interface PadGeometry {
  mode: 'constant' | 'reflect' | 'edge' | 'wrap';
  begins: number[];
  ends: number[];
  shape: number[];
}

export function padGeometry(node: Node, shape: readonly number[], constants: (Tensor | undefined)[]): PadGeometry {
  const mode = stringAttribute(node, 'mode', 'constant');
  if (mode !== 'constant' && mode !== 'reflect' && mode !== 'edge' && mode !== 'wrap') {
    throw new InputError(`${describe(node)} has mode '${mode}', which ONNX does not know`);
  }
  const axes = optionalIntegers(node, constants, 3, 'axes') ?? shape.map((_, axis) => axis);
  const pads = requireIntegers(node, constants, 1, 'pads', 2 * axes.length);
  const begins = shape.map(() => 0);
  const ends = shape.map(() => 0);
  resolveAxes(node, axes, shape.length).forEach((axis, index) => {
    begins[axis] = pads[index]!;
    ends[axis] = pads[axes.length + index]!;
  });
  const padded = shape.map((dim, axis) => dim + begins[axis]! + ends[axis]!);
  shape.forEach((dim, axis) => {
    const most = Math.max(begins[axis]!, ends[axis]!);
    const limit = { constant: Number.POSITIVE_INFINITY, reflect: dim - 1, edge: dim > 0 ? Infinity : 0, wrap: dim };
    if (padded[axis]! < 0 || -Math.min(begins[axis]!, ends[axis]!) > dim || most > Math.max(0, limit[mode])) {
      throw new InputError(
        `${describe(node)} pads axis ${axis} of length ${dim} by ${begins[axis]} and ${ends[axis]} (${mode}), ` +
          'more than there is',
      );
    }
  });
  return { mode, begins, ends, shape: padded };
}

export const inferPad: InferShape = (node, inputs, constants) => [
  padGeometry(node, requireShape(node, inputs, 0, 'data'), constants).shape,
];
