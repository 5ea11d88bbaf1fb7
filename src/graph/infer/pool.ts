import { describe, intAttribute, intsAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import type { Node } from '../types.ts';
import { type InferShape, requireShape } from './common.ts';
import { resolveWindows } from './window.ts';

/**
 * Everything a pooling kernel needs: x [n, c, ih, iw], y [n, c, oh, ow]. With ceil mode a last window may reach past
 * the end padding; what lies beyond `ih + padBottom` (`iw + padRight`) counts for nothing, not even as padding.
 */
export interface PoolGeometry {
  n: number;
  c: number;
  ih: number;
  iw: number;
  oh: number;
  ow: number;
  kh: number;
  kw: number;
  strideH: number;
  strideW: number;
  dilH: number;
  dilW: number;
  padTop: number;
  padLeft: number;
  padBottom: number;
  padRight: number;
  /** AveragePool: padded cells count in the divisor. */
  countIncludePad: boolean;
}

/** Geometry of a MaxPool or AveragePool; a 1-D one comes out as 2-D with ih = kh = oh = 1. */
export function poolGeometry(node: Node, xShape: readonly number[]): PoolGeometry {
  const kernel = intsAttribute(node, 'kernel_shape', xShape.length - 2);
  if (!kernel) throw new InputError(`${describe(node)} lacks the attribute kernel_shape`);
  const { height, width } = resolveWindows(node, xShape, kernel, intAttribute(node, 'ceil_mode', 0) !== 0);
  for (const window of [height, width]) {
    // A window that lies wholly in the padding has neither a maximum nor a mean.
    if (Math.max(window.padBegin, window.padEnd) >= (window.kernel - 1) * window.dilation + 1) {
      throw new InputError(
        `${describe(node)} pads by ${Math.max(window.padBegin, window.padEnd)}, ` +
          `which must be less than its window of ${(window.kernel - 1) * window.dilation + 1}`,
      );
    }
  }
  return {
    n: xShape[0]!,
    c: xShape[1]!,
    ih: height.input,
    iw: width.input,
    oh: height.output,
    ow: width.output,
    kh: height.kernel,
    kw: width.kernel,
    strideH: height.stride,
    strideW: width.stride,
    dilH: height.dilation,
    dilW: width.dilation,
    padTop: height.padBegin,
    padLeft: width.padBegin,
    padBottom: height.padEnd,
    padRight: width.padEnd,
    countIncludePad: intAttribute(node, 'count_include_pad', 0) !== 0,
  };
}

export const inferPool: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  const g = poolGeometry(node, x);
  const y = x.length === 3 ? [g.n, g.c, g.ow] : [g.n, g.c, g.oh, g.ow];
  // MaxPool's second output, the indices of the maxima, has the same shape.
  return node.op === 'MaxPool' ? [y, [...y]] : [y];
};

export const inferGlobalPool: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  if (x.length < 3) throw new InputError(`${describe(node)} reads [${x.join(', ')}] where [n, c, h, w] is needed`);
  return [x.map((dim, axis) => (axis < 2 ? dim : 1))];
};
