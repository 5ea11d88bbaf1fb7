import { describe, intAttribute } from '../../graph/attributes.ts';
import { InputError } from '../../graph/errors.ts';
import { inferers } from '../../graph/infer/inferers.ts';
import { poolGeometries, refuseIndices } from '../../graph/infer/pool.ts';
import type { Node } from '../../graph/types.ts';
import { averagePool, averagePoolBackward, maxPool, maxPoolBackward, type PoolWindows } from '../../kernels/pool.ts';
import type { BackwardContext, Gradients, Operator } from '../operator.ts';
import { elementsOf, type Value } from '../value.ts';

const ATTRIBUTES = ['kernel_shape', 'strides', 'pads', 'auto_pad', 'dilations', 'ceil_mode'];

/** One window over everything behind the channels, whatever its rank. */
function globalWindow([n = 1, c = 1, ...rest]: readonly number[]): PoolWindows {
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
  refuseIndices(node);
}

/** The 2-D poolings that make an operator up; each reads the result of the one before. */
function passesOf(node: Node, xShape: readonly number[]): readonly PoolWindows[] {
  return node.op.startsWith('Global') ? [globalWindow(xShape)] : poolGeometries(node, xShape);
}

const pooling = (op: string, attributes: readonly string[], pool: typeof maxPool): Operator => ({
  op,
  infer: inferers[op]!,
  attributes,
  check: checkMaxPool,
  forward({ builder, node, saved, input, output }) {
    let x = input(0);
    const passes = passesOf(node, x.shape);
    passes.forEach((windows, i) => {
      const { n, c, oh, ow } = windows;
      const y = i === passes.length - 1 ? output() : builder.tensor([n, c, oh, ow], 'f32', `pass ${i}`);
      pool(builder, { x, y, windows });
      saved.set(`result ${i}`, y);
      x = y;
    });
  },
});

/** Pooling over windows and over whole planes, by the ONNX definitions; 1-D is 2-D of height 1, 3-D is two passes. */
export const poolings: readonly Operator[] = [
  pooling('MaxPool', [...ATTRIBUTES, 'storage_order'], maxPool),
  pooling('AveragePool', [...ATTRIBUTES, 'count_include_pad'], averagePool),
  pooling('GlobalMaxPool', [], maxPool),
  pooling('GlobalAveragePool', [], averagePool),
];

function backward(context: BackwardContext, poolBackward: typeof maxPoolBackward): void {
  const { builder, node, saved, input, wants, outputGradient, inputGradient } = context;
  if (!wants(0)) return;
  const passes = passesOf(node, input(0).shape);
  let dy = outputGradient();
  for (const [i, windows] of [...passes.entries()].reverse()) {
    const { n, c, ih, iw } = windows;
    const x = i === 0 ? input(0) : (saved.get(`result ${i - 1}`) as Value<'f32'>);
    const dx = i === 0 ? inputGradient(0) : builder.tensor([n, c, ih, iw], 'f32', `gradient of pass ${i}`);
    poolBackward(builder, { x, dy, dx, windows });
    dy = dx;
  }
}

const ofMaximum = (context: BackwardContext) => backward(context, maxPoolBackward);
const ofAverage = (context: BackwardContext) => backward(context, averagePoolBackward);

export const poolGradients: Gradients = {
  MaxPool: ofMaximum,
  AveragePool: ofAverage,
  GlobalMaxPool: ofMaximum,
  GlobalAveragePool: ofAverage,
};
