import { describe, intAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import type { Node } from '../types.ts';
import { broadcastShapes, type InferShape, requireShape } from './common.ts';

/** y [m, n] = alpha * op(a) [m, k] * op(b) [k, n] + beta * c. */
export interface GemmGeometry {
  m: number;
  n: number;
  k: number;
  transA: boolean;
  transB: boolean;
}

export function gemmGeometry(node: Node, aShape: readonly number[], bShape: readonly number[]): GemmGeometry {
  if (aShape.length !== 2 || bShape.length !== 2) {
    throw new InputError(
      `${describe(node)} multiplies [${aShape.join(', ')}] by [${bShape.join(', ')}]; Gemm takes matrices`,
    );
  }
  const transA = intAttribute(node, 'transA', 0) !== 0;
  const transB = intAttribute(node, 'transB', 0) !== 0;
  const [m, k] = transA ? [aShape[1]!, aShape[0]!] : [aShape[0]!, aShape[1]!];
  const [inner, n] = transB ? [bShape[1]!, bShape[0]!] : [bShape[0]!, bShape[1]!];
  if (inner !== k) {
    throw new InputError(
      `${describe(node)} multiplies [${aShape.join(', ')}] by [${bShape.join(', ')}] ` +
        `(transA ${transA}, transB ${transB}), whose inner lengths differ`,
    );
  }
  return { m, n, k, transA, transB };
}

export const inferGemm: InferShape = (node, inputs) => {
  const { m, n } = gemmGeometry(node, requireShape(node, inputs, 0, 'a'), requireShape(node, inputs, 1, 'b'));
  const c = inputs[2];
  if (c) {
    const [rows, columns] = broadcastShapes(node, [c, [m, n]]);
    if (rows !== m || columns !== n || c.length > 2) {
      throw new InputError(`${describe(node)} adds [${c.join(', ')}] to [${m}, ${n}], to which it does not broadcast`);
    }
  }
  return [[m, n]];
};

/**
 * NumPy's matmul: y [...batch, m, n]. A vector on the left counts as [1, k], on the right as [k, 1]; `shape` is the
 * output with that helper dimension dropped again.
 */
export interface MatMulGeometry {
  batch: number[];
  m: number;
  n: number;
  k: number;
  shape: number[];
}

export function matMulGeometry(node: Node, aShape: readonly number[], bShape: readonly number[]): MatMulGeometry {
  const a = aShape.length === 1 ? [1, aShape[0]!] : aShape;
  const b = bShape.length === 1 ? [bShape[0]!, 1] : bShape;
  const k = a.at(-1);
  if (a.length < 2 || b.length < 2 || k === undefined || k !== b.at(-2)) {
    throw new InputError(
      `${describe(node)} multiplies [${aShape.join(', ')}] by [${bShape.join(', ')}], whose inner lengths differ`,
    );
  }
  const batch = broadcastShapes(node, [a.slice(0, -2), b.slice(0, -2)]);
  const m = a.at(-2)!;
  const n = b.at(-1)!;
  const shape = [...batch, ...(aShape.length === 1 ? [] : [m]), ...(bShape.length === 1 ? [] : [n])];
  return { batch, m, n, k, shape };
}

export const inferMatMul: InferShape = (node, inputs) => [
  matMulGeometry(node, requireShape(node, inputs, 0, 'a'), requireShape(node, inputs, 1, 'b')).shape,
];
