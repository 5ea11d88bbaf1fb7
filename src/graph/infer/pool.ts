import { describe, intAttribute, intsAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import type { Node } from '../types.ts';
import { type InferShape, requireShape } from './common.ts';
import { resolveWindows, singleton, type Window } from './window.ts';

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

/** Windows of a MaxPool or AveragePool along its 1 to 3 spatial axes. */
function poolWindows(node: Node, xShape: readonly number[]): Window[] {
  const kernel = intsAttribute(node, 'kernel_shape', xShape.length - 2);
  if (!kernel) throw new InputError(`${describe(node)} lacks the attribute kernel_shape`);
  const ceilMode = intAttribute(node, 'ceil_mode', 0) !== 0;
  const windows = resolveWindows(node, xShape, kernel, { ceilMode, mostAxes: 3 });
  for (const window of windows) {
    // A window that lies wholly in the padding has neither a maximum nor a mean.
    if (Math.max(window.padBegin, window.padEnd) >= (window.kernel - 1) * window.dilation + 1) {
      throw new InputError(
        `${describe(node)} pads by ${Math.max(window.padBegin, window.padEnd)}, ` +
          `which must be less than its window of ${(window.kernel - 1) * window.dilation + 1}`,
      );
    }
  }
  return windows;
}

/**
 * The 2-D poolings that a MaxPool or AveragePool [n, c, d, h, w] is made of, each of the previous one's result: a
 * maximum over a box is the maximum over its depth of the maxima over its planes; and so is a mean, because the number
 * of cells that its divisor counts is the product of the numbers along the axes. The first goes over height and width
 * of the n·c·d planes, the second over the depth of [n, c, d, oh·ow]; what would change nothing is left out. A 1-D or
 * 2-D pooling is one of them, the former with ih = kh = oh = 1.
 */
export function poolGeometries(node: Node, xShape: readonly number[]): PoolGeometry[] {
  const windows = poolWindows(node, xShape);
  const [n, c] = xShape as [number, number];
  const countIncludePad = intAttribute(node, 'count_include_pad', 0) !== 0;
  const [width, height = singleton, depth] = [...windows].reverse() as [Window, Window?, Window?];
  if (!depth) return [planeGeometry({ n, c, height, width, countIncludePad })];
  const columns = height.output * width.output;
  const passes = [
    { n, c: c * depth.input, height, width, countIncludePad },
    { n, c, height: depth, width: { ...singleton, input: columns, output: columns }, countIncludePad },
  ];
  const changing = passes.filter((pass) => !isIdentity(pass.height) || !isIdentity(pass.width));
  return (changing.length > 0 ? changing : passes.slice(0, 1)).map(planeGeometry);
}

function isIdentity({ input, output, kernel, stride, padBegin, padEnd }: Window): boolean {
  return kernel === 1 && stride === 1 && input === output && padBegin === 0 && padEnd === 0;
}

function planeGeometry({
  n,
  c,
  height,
  width,
  countIncludePad,
}: Pick<PoolGeometry, 'n' | 'c' | 'countIncludePad'> & { height: Window; width: Window }): PoolGeometry {
  return {
    n,
    c,
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
    countIncludePad,
  };
}

export const inferPool: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  const y = [...x.slice(0, 2), ...poolWindows(node, x).map(({ output }) => output)];
  // MaxPool's second output, the indices of the maxima, has the same shape.
  return node.op === 'MaxPool' ? [y, [...y]] : [y];
};

/** Refuses a MaxPool that is asked for its second output: the pooling kernels put out values only. */
export function refuseIndices(node: Node): void {
  if (node.op === 'MaxPool' && node.outputs[1]) {
    throw new InputError(
      `${describe(node)} has the output Indices ('${node.outputs[1]}'), which is not supported; only its output Y is`,
    );
  }
}

export const inferGlobalPool: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  if (x.length < 3) throw new InputError(`${describe(node)} reads [${x.join(', ')}] where [n, c, h, w] is needed`);
  return [x.map((dim, axis) => (axis < 2 ? dim : 1))];
};
