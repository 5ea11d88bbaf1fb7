import { describe, intAttribute } from '../../graph/attributes.ts';
import { InputError } from '../../graph/errors.ts';
import { inferers } from '../../graph/infer/inferers.ts';
import { poolGeometry } from '../../graph/infer/pool.ts';
import type { Node } from '../../graph/types.ts';
import { averagePool, averagePoolBackward, maxPool, maxPoolBackward, type PoolWindows } from '../../kernels/pool.ts';
import type { Operator } from '../operator.ts';
import { elementsOf } from '../value.ts';

const ATTRIBUTES = ['kernel_shape', 'strides', 'pads', 'auto_pad', 'dilations', 'ceil_mode'];

/** One window over everything behind the channels, whatever its rank. */
export function globalWindow([n = 1, c = 1, ...rest]: readonly number[]): PoolWindows {
  const length = elementsOf(rest);
  return {
    ...{ n, c, ih: 1, iw: length, oh: 1, ow: 1, kh: 1, kw: Math.max(1, length) },
    ...{ strideH: 1, strideW: Math.max(1, length), dilH: 1, dilW: 1, padTop: 0, padLeft: 0, padBottom: 0, padRight: 0 },
    countIncludePad: false,
  };
}

function checkMaxPool(node: Node): void {
  if (intAttribute(node, 'storage_order', 0) !== 0) {
    throw new InputError(`${describe(node)} has storage_order = 1 (column major), which is not supported`);
  }
  if (node.outputs[1]) {
    throw new InputError(`${describe(node)} puts out the indices of its maxima, which is not supported`);
  }
}

type Windows = (node: Node, xShape: readonly number[]) => PoolWindows;

const maximum = (op: string, attributes: readonly string[], windowsOf: Windows): Operator => ({
  op,
  infer: inferers[op]!,
  attributes,
  check: checkMaxPool,
  forward({ builder, node, input, output }) {
    maxPool(builder, { x: input(0), y: output(), windows: windowsOf(node, input(0).shape) });
  },
  backward({ builder, node, input, wants, outputGradient, inputGradient }) {
    if (!wants(0)) return;
    const windows = windowsOf(node, input(0).shape);
    maxPoolBackward(builder, { x: input(0), dy: outputGradient(), dx: inputGradient(0), windows });
  },
});

const average = (op: string, attributes: readonly string[], windowsOf: Windows): Operator => ({
  op,
  infer: inferers[op]!,
  attributes,
  forward({ builder, node, input, output }) {
    averagePool(builder, { x: input(0), y: output(), windows: windowsOf(node, input(0).shape) });
  },
  backward({ builder, node, inputShape, wants, outputGradient, inputGradient }) {
    if (!wants(0)) return;
    const windows = windowsOf(node, inputShape(0));
    averagePoolBackward(builder, { dy: outputGradient(), dx: inputGradient(0), windows });
  },
});

/** Pooling over windows and over whole planes, by the ONNX definitions; 1-D is 2-D of height 1. */
export const poolings: readonly Operator[] = [
  maximum('MaxPool', [...ATTRIBUTES, 'storage_order'], poolGeometry),
  average('AveragePool', [...ATTRIBUTES, 'count_include_pad'], poolGeometry),
  maximum('GlobalMaxPool', [], (_, shape) => globalWindow(shape)),
  average('GlobalAveragePool', [], (_, shape) => globalWindow(shape)),
];
