import { describe, intsAttribute, stringAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import type { Node } from '../types.ts';

/** A sliding window along one spatial axis; lengths in elements. */
export interface Window {
  input: number;
  kernel: number;
  stride: number;
  dilation: number;
  padBegin: number;
  padEnd: number;
  output: number;
}

/** The axis of length 1 that turns a 1-D convolution or pooling into a 2-D one. */
export const singleton: Window = { input: 1, kernel: 1, stride: 1, dilation: 1, padBegin: 0, padEnd: 0, output: 1 };

/**
 * Windows along the spatial axes of an input [n, c, d1, …], of which there may be 1 to `mostAxes`. Output sizes and
 * automatic padding follow the ONNX specification of Conv and of the pooling operators.
 */
export function resolveWindows(
  node: Node,
  xShape: readonly number[],
  kernel: readonly number[],
  { ceilMode, mostAxes }: { ceilMode: boolean; mostAxes: 2 | 3 },
): Window[] {
  const rank = xShape.length - 2;
  if (rank < 1) {
    throw new InputError(`${describe(node)} reads [${xShape.join(', ')}] where [n, c, h, w] or [n, c, l] is needed`);
  }
  if (rank > mostAxes) {
    const supported = mostAxes === 2 ? '1-D and 2-D' : '1-D, 2-D and 3-D';
    throw new InputError(`${describe(node)} works on ${rank}-D data; ${supported} are supported`);
  }
  const strides = intsAttribute(node, 'strides', rank) ?? kernel.map(() => 1);
  const dilations = intsAttribute(node, 'dilations', rank) ?? kernel.map(() => 1);
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET');
  // Pads beside auto_pad have no meaning in ONNX; exporters write zeros there.
  const pads = autoPad === 'NOTSET' ? intsAttribute(node, 'pads', 2 * rank) : undefined;
  return kernel.map((size, axis) =>
    resolveWindow(node, autoPad, ceilMode, {
      input: xShape[2 + axis]!,
      kernel: size,
      stride: strides[axis]!,
      dilation: dilations[axis]!,
      padBegin: pads?.[axis] ?? 0,
      padEnd: pads?.[rank + axis] ?? 0,
      output: 0,
    }),
  );
}

function resolveWindow(node: Node, autoPad: string, ceilMode: boolean, given: Window): Window {
  const { input, kernel, stride, dilation } = given;
  if (kernel < 1 || stride < 1 || dilation < 1 || given.padBegin < 0 || given.padEnd < 0) {
    throw new InputError(
      `${describe(node)} has kernel ${kernel}, stride ${stride}, dilation ${dilation}, ` +
        `pads ${given.padBegin} and ${given.padEnd}: the first three must be positive, pads not negative`,
    );
  }
  const extent = (kernel - 1) * dilation + 1;
  let { padBegin, padEnd } = given;
  let output: number;
  switch (autoPad) {
    case 'SAME_UPPER':
    case 'SAME_LOWER': {
      output = Math.ceil(input / stride);
      const total = Math.max((output - 1) * stride + extent - input, 0);
      const small = Math.floor(total / 2);
      padBegin = autoPad === 'SAME_UPPER' ? small : total - small;
      padEnd = total - padBegin;
      break;
    }
    case 'VALID':
      output = Math.floor((input - extent) / stride) + 1;
      break;
    case 'NOTSET': {
      const steps = (input + padBegin + padEnd - extent) / stride;
      output = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
      // With ceil_mode a last window that would start in the end padding is dropped.
      if (ceilMode && (output - 1) * stride >= input + padBegin) output--;
      break;
    }
    default:
      throw new InputError(`${describe(node)} has auto_pad '${autoPad}', which ONNX does not know`);
  }
  if (output < 1 || !Number.isSafeInteger(output) || !Number.isSafeInteger(extent + padBegin + padEnd + input)) {
    throw new InputError(
      `${describe(node)} slides a window of ${extent} over a length of ${input} with pads ${padBegin} and ${padEnd}, ` +
        'which leaves no output',
    );
  }
  return { input, kernel, stride, dilation, padBegin, padEnd, output };
}
