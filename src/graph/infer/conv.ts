import { describe, intAttribute, intsAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import type { Node } from '../types.ts';
import { type InferShape, requireShape } from './common.ts';
import { resolveWindows, singleton, type Window } from './window.ts';

/** Everything a convolution kernel needs: x [n, ic, ih, iw], w [oc, ic / groups, kh, kw], y [n, oc, oh, ow]. */
export interface ConvGeometry {
  n: number;
  ic: number;
  ih: number;
  iw: number;
  oc: number;
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
  groups: number;
}

/** Geometry of a Conv; a 1-D one comes out as 2-D with ih = kh = oh = 1. */
export function convGeometry(node: Node, xShape: readonly number[], wShape: readonly number[]): ConvGeometry {
  if (xShape.length < 3 || xShape.length !== wShape.length) {
    throw new InputError(
      `${describe(node)} convolves [${xShape.join(', ')}] with weights [${wShape.join(', ')}]: ` +
        'both need the same rank, at least 3',
    );
  }
  const kernel = wShape.slice(2);
  const declared = intsAttribute(node, 'kernel_shape', kernel.length);
  if (declared?.some((size, axis) => size !== kernel[axis])) {
    throw new InputError(
      `${describe(node)} declares kernel_shape [${declared.join(', ')}] but has weights [${wShape.join(', ')}]`,
    );
  }
  const windows = resolveWindows(node, xShape, kernel, { ceilMode: false, mostAxes: 2 });
  const [height, width] = (windows.length === 1 ? [singleton, ...windows] : windows) as [Window, Window];
  const groups = intAttribute(node, 'group', 1);
  const [n, ic] = xShape as [number, number];
  const [oc, icPerGroup] = wShape as [number, number];
  if (groups < 1 || ic !== icPerGroup * groups || oc % groups !== 0 || oc < 1) {
    throw new InputError(
      `${describe(node)} has ${ic} input channels, weights [${wShape.join(', ')}] and group = ${groups}, ` +
        'which do not fit together',
    );
  }
  return {
    n,
    ic,
    ih: height.input,
    iw: width.input,
    oc,
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
    groups,
  };
}

export const inferConv: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  const g = convGeometry(node, x, requireShape(node, inputs, 1, 'weights'));
  const bias = inputs[2];
  if (bias && (bias.length !== 1 || bias[0] !== g.oc)) {
    throw new InputError(`${describe(node)} has ${g.oc} output channels but a bias of shape [${bias.join(', ')}]`);
  }
  return [x.length === 3 ? [g.n, g.oc, g.ow] : [g.n, g.oc, g.oh, g.ow]];
};
