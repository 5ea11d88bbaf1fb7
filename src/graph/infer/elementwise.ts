import { describe, intAttribute } from '../attributes.ts';
import { InputError } from '../errors.ts';
import { numel } from '../tensor.ts';
import { broadcastShapes, type InferShape, requireShape, resolveAxis } from './common.ts';

/** The output has the shape of the first input. */
export const inferSame: InferShape = (node, inputs) => [[...requireShape(node, inputs, 0, 'x')]];

/** All inputs broadcast against each other (Add, Where, Max, …). */
export const inferBroadcast: InferShape = (node, inputs) => {
  requireShape(node, inputs, 0, 'a');
  return [
    broadcastShapes(
      node,
      node.inputs.map((_, index) => requireShape(node, inputs, index, 'operand')),
    ),
  ];
};

export const inferBinary: InferShape = (node, inputs) => [
  broadcastShapes(node, [requireShape(node, inputs, 0, 'a'), requireShape(node, inputs, 1, 'b')]),
];

export const inferClip: InferShape = (node, inputs) => {
  for (const index of [1, 2]) {
    const bound = inputs[index];
    if (bound && numel(bound) !== 1) {
      throw new InputError(`${describe(node)} has a bound of shape [${bound.join(', ')}] where a scalar is needed`);
    }
  }
  return inferSame(node, inputs, []);
};

export const inferSoftmax: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  resolveAxis(node, intAttribute(node, 'axis', -1), x.length);
  return [[...x]];
};

/** y, and in training mode the two running statistics [c]. */
export const inferBatchNorm: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  const channels = x[1] ?? 1;
  for (const [index, what] of ['scale', 'bias', 'mean', 'variance'].entries()) {
    const shape = requireShape(node, inputs, index + 1, what);
    if (shape.length !== 1 || shape[0] !== channels) {
      throw new InputError(
        `${describe(node)} normalises ${channels} channels but its ${what} is [${shape.join(', ')}]`,
      );
    }
  }
  return [[...x], [channels], [channels]];
};

/** y and the mask. */
export const inferDropout: InferShape = (node, inputs) => {
  const x = requireShape(node, inputs, 0, 'x');
  return [[...x], [...x]];
};
