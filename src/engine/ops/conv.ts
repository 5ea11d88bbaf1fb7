import { type ConvGeometry, convGeometry } from '../../graph/infer/conv.ts';
import { inferers } from '../../graph/infer/inferers.ts';
import { conv } from '../../kernels/conv.ts';
import { convGradInput } from '../../kernels/convGradInput.ts';
import { convGradWeight } from '../../kernels/convGradWeight.ts';
import { reduceSum } from '../../kernels/reduceSum.ts';
import type { BackwardContext, ForwardContext, Operator } from '../operator.ts';

const [X, WEIGHTS, BIAS] = [0, 1, 2] as const;

const geometry = (context: ForwardContext | BackwardContext): ConvGeometry =>
  convGeometry(context.node, context.inputShape(X), context.inputShape(WEIGHTS));

function forward(context: ForwardContext): void {
  conv(context.builder, {
    x: context.input(X),
    weights: context.input(WEIGHTS),
    bias: context.hasInput(BIAS) ? context.input(BIAS) : undefined,
    out: context.output(),
    shape: geometry(context),
  });
}

function backward(context: BackwardContext): void {
  const { builder } = context;
  const shape = geometry(context);
  const dy = context.outputGradient();
  if (context.wants(X)) {
    convGradInput(builder, { dy, weights: context.input(WEIGHTS), dx: context.inputGradient(X), shape });
  }
  if (context.wants(WEIGHTS)) {
    convGradWeight(builder, { x: context.input(X), dy, dw: context.inputGradient(WEIGHTS), shape });
  }
  if (context.wants(BIAS)) {
    reduceSum(builder, {
      x: dy,
      out: context.inputGradient(BIAS),
      shape: [shape.n, shape.oc, shape.oh * shape.ow],
      axes: [0, 2],
      label: 'bias gradient',
    });
  }
}

/** Conv over one or two axes, with groups, strides, dilations and every kind of padding. */
export const convolutions: readonly Operator[] = [
  {
    op: 'Conv',
    infer: inferers.Conv!,
    attributes: ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides'],
    roles: () => ({ [WEIGHTS]: 'weight', [BIAS]: 'bias' }),
    forward,
    backward,
  },
];
