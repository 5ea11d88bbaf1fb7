import { describe, intAttribute } from '../../graph/attributes.ts';
import { InputError } from '../../graph/errors.ts';
import { optionalIntegers, resolveAxis } from '../../graph/infer/common.ts';
import { inferers } from '../../graph/infer/inferers.ts';
import type { ForwardContext, Gradients, Operator } from '../operator.ts';
import { constantsOf } from './layout.ts';
import { type TakeAlong, takeAlong, takeAlongBackward } from './take.ts';

function takeOf(context: Pick<ForwardContext, 'node' | 'constant'>, shape: readonly number[]): TakeAlong {
  const { node } = context;
  const axis = resolveAxis(node, intAttribute(node, 'axis', 0), shape.length);
  const length = shape[axis]!;
  const indices = optionalIntegers(node, constantsOf(context), 1, 'indices') ?? [];
  return {
    axis,
    indices: Uint32Array.from(indices, (index) => {
      if (index < -length || index >= length) {
        throw new InputError(`${describe(node)} takes index ${index} along axis ${axis} of length ${length}`);
      }
      return index < 0 ? index + length : index;
    }),
  };
}

/** Gather of data at indices that are known beforehand; where they are computed from data, the node is refused. */
export const gather: Operator = {
  op: 'Gather',
  infer: inferers.Gather!,
  attributes: ['axis'],
  forward(context) {
    const x = context.input(0);
    takeAlong(context.builder, { x, y: context.output(), along: takeOf(context, x.shape) });
  },
};

export const gatherGradients: Gradients = {
  Gather(context) {
    if (!context.wants(0)) return;
    const along = takeOf(context, context.inputShape(0));
    takeAlongBackward(context.builder, { dy: context.outputGradient(), dx: context.inputGradient(0), along });
  },
};
