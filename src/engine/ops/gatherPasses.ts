import { describe, intAttribute } from '../../graph/attributes.ts';
import { InputError } from '../../graph/errors.ts';
import { optionalIntegers, resolveAxis } from '../../graph/infer/common.ts';
import type { ForwardContext, Gradients } from '../operator.ts';
import { constantsOf } from './common.ts';
import type { Forwards } from './lazily.ts';
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

export const forwards: Forwards = {
  Gather(context) {
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
