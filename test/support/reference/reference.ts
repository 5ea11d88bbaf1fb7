import type { Node } from '../../../src/graph/types.ts';

/** A tensor in float64, row-major. */
export interface Array64 {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export interface ReferenceCall {
  readonly attributes: Node['attributes'];
  /** By input index; integer operands (axes, pads) come as numbers too. Undefined where an optional input is absent. */
  readonly inputs: readonly (Array64 | undefined)[];
  /** Batch statistics instead of running ones, and the like. */
  readonly training: boolean;
}

/** An operator's outputs by its ONNX definition, as plain loops in float64. Only output 0 is differentiated. */
export type Reference = (call: ReferenceCall) => Array64[];

export function array64(shape: readonly number[], data?: ArrayLike<number>): Array64 {
  const elements = shape.reduce((product, length) => product * length, 1);
  if (data && data.length !== elements) throw new Error(`${data.length} numbers do not fill [${shape}]`);
  return { shape, data: data ? Float64Array.from(data) : new Float64Array(elements) };
}

/** A required input. */
export function operand(call: ReferenceCall, index: number): Array64 {
  const input = call.inputs[index];
  if (!input) throw new Error(`The reference needs input ${index}`);
  return input;
}

export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** Calls `visit` with every index of a shape, in row-major order, and its number. */
export function eachIndex(shape: readonly number[], visit: (index: readonly number[], flat: number) => void): void {
  const total = shape.reduce((product, length) => product * length, 1);
  const index = shape.map(() => 0);
  for (let flat = 0; flat < total; flat++) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
}
