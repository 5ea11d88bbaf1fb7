import { reductionAxes } from '../../graph/infer/reduce.ts';
import { expand } from '../../kernels/binary.ts';
import { reduceSum } from '../../kernels/reduceSum.ts';
import type { BackwardContext, ForwardContext, Gradients } from '../operator.ts';
import type { Forwards } from './lazily.ts';

function geometry(context: ForwardContext | BackwardContext) {
  const shape = context.inputShape(0);
  const axes = reductionAxes(context.node, shape, [undefined, context.constant(1)]);
  return {
    shape,
    axes,
    /** The input's shape with the reduced axes kept at length 1. */
    keptShape: shape.map((size, axis) => (axes.includes(axis) ? 1 : size)),
    scale: 1 / axes.reduce((product, axis) => product * shape[axis]!, 1),
  };
}

export const forwards: Forwards = {
  ReduceMean(context) {
    const { shape, axes, scale } = geometry(context);
    if (scale === 1) context.alias(0, context.input(0));
    else reduceSum(context.builder, { x: context.input(0), out: context.output(), shape, axes, scale, label: 'mean' });
  },
};

export const reductionGradients: Gradients = {
  ReduceMean(context) {
    if (!context.wants(0)) return;
    const { shape, keptShape, scale } = geometry(context);
    const dy = context.outputGradient();
    if (scale === 1) context.passGradient(0, dy);
    else expand(context.builder, { x: dy, out: context.inputGradient(0), xShape: keptShape, shape, scale });
  },
};
