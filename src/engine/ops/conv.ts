import { type ConvGeometry, convGeometry } from '../../graph/infer/conv.ts';
import { inferers } from '../../graph/infer/inferers.ts';
import { convGradInput } from '../../kernels/convGradInput.ts';
import { convGradWeight } from '../../kernels/convGradWeight.ts';
import type { ConvShape } from '../../kernels/convShape.ts';
import type { PaddedPlanes } from '../../kernels/padPlanes.ts';
import { reduceSum } from '../../kernels/reduceSum.ts';
import type { BackwardContext, ForwardContext, Gradients, Operator, PlanUse } from '../operator.ts';
import type { Value } from '../value.ts';
import { convAlternatives, loadConvAlternatives } from './convAlternatives.ts';
import { floatKernels, loadFloatKernels } from './floatKernels.ts';
import { loadProductAlternatives, productAlternatives } from './productAlternatives.ts';

const [X, WEIGHTS, BIAS] = [0, 1, 2] as const;

const geometry = (context: ForwardContext | BackwardContext): ConvGeometry =>
  convGeometry(context.node, context.inputShape(X), context.inputShape(WEIGHTS));

async function load(use: PlanUse): Promise<void> {
  await Promise.all([
    loadFloatKernels('Conv', use),
    loadConvAlternatives('Conv', use, ['dense', undefined]),
    loadProductAlternatives(use),
  ]);
}

function forward(context: ForwardContext): void {
  const { builder, saved } = context;
  const alternatives = convAlternatives();
  const shape = geometry(context);
  const packed = context.packed(WEIGHTS, BIAS);
  if (packed) {
    const { residual, bounds } = context;
    const label = 'convolution';
    const x = context.quantizedInput ?? context.input(X);
    const { weights, kernels, bias } = packed;
    const codes = kernels.writesCodes ? context.codesOutput : undefined;
    const out = codes?.onlyCodes ? undefined : context.output();
    kernels.conv(builder, { x, weights, bias, residual, out, codes, shape, ...bounds, alternatives, label });
    return;
  }
  const { conv, padInput, pointwise } = floatKernels();
  const asProduct = pointwise(productAlternatives);
  const x = context.input(X);
  const out = context.output();
  const padded = out.elements > 0 ? padInput(builder, x, shape) : undefined;
  if (padded) saved.set('padded', padded.operand as Value<'f32'>);
  conv(builder, {
    x,
    padded,
    weights: context.input(WEIGHTS),
    bias: context.hasInput(BIAS) ? context.input(BIAS) : undefined,
    residual: context.residual,
    out,
    shape,
    ...context.bounds,
    alternatives: (...convolution) => asProduct(...convolution) || Boolean(alternatives?.(...convolution)),
  });
}

/**
 * The padded input of the forward pass, for the weights' gradient. A CPU adapter would take longer to pad it again than
 * its memory is worth; a GPU has less memory, and pads in no time.
 */
function keptPadding({ builder, saved }: BackwardContext, shape: ConvShape): PaddedPlanes | undefined {
  const operand = saved.get('padded') as Value<'f32'> | undefined;
  if (!operand || builder.capabilities.kind !== 'cpu') return undefined;
  const h = shape.ih + shape.padTop + shape.padBottom;
  return { operand, h, w: operand.elements / (shape.n * shape.ic * h) };
}

function backward(context: BackwardContext): void {
  const { builder } = context;
  const shape = geometry(context);
  const dy = context.outputGradient();
  if (context.wants(X)) {
    convGradInput(builder, { dy, weights: context.input(WEIGHTS), dx: context.inputGradient(X), shape });
  }
  if (context.wants(WEIGHTS)) {
    convGradWeight(builder, {
      x: context.input(X),
      padded: keptPadding(context, shape),
      dy,
      dw: context.inputGradient(WEIGHTS),
      shape,
    });
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
    canBound: true,
    canAdd: true,
    forward,
    load,
  },
];

export const convolutionGradients: Gradients = { Conv: backward };
