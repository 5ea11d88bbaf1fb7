import { describe, intAttribute, numberAttribute } from '../../graph/attributes.ts';
import { InputError } from '../../graph/errors.ts';
import { batchNorm, batchNormBackward, channelStatistics } from '../../kernels/batchNorm.ts';
import type { ChannelShape } from '../../kernels/channels.ts';
import type { BackwardContext, ForwardContext, Gradients } from '../operator.ts';
import { elementsOf, type Value } from '../value.ts';
import { MEAN, SCALE, SHIFT, VARIANCE, X } from './common.ts';
import type { Forwards } from './lazily.ts';

const channelShape = ([n = 1, c = 1, ...rest]: readonly number[]): ChannelShape => ({ n, c, plane: elementsOf(rest) });
const epsilonOf = ({ node }: ForwardContext | BackwardContext) => numberAttribute(node, 'epsilon', 1e-5);

/**
 * Whether the batch's own statistics normalise it: in training, and wherever a model was exported with training_mode = 1
 * (ONNX since opset 14).
 */
const usesBatch = ({ node, training }: ForwardContext | BackwardContext) =>
  training || intAttribute(node, 'training_mode', 0) !== 0;

/**
 * Running statistics that take a step with this batch, or undefined. In training those of the model, in place; their
 * variance is the biased one, as ONNX says (PyTorch keeps the unbiased one). Nodes exported in training mode put them
 * out instead of keeping them.
 */
function runningStatistics(context: ForwardContext): { mean: Value<'f32'>; variance: Value<'f32'> } | undefined {
  const { node, builder, training } = context;
  const isState = context.constant(MEAN) !== undefined && context.constant(VARIANCE) !== undefined;
  if (training && isState) return { mean: context.input(MEAN), variance: context.input(VARIANCE) };
  if (!node.outputs[1] && !node.outputs[2]) return undefined;
  const copyOf = (input: number, output: number) => {
    const target = node.outputs[output] ? context.output(output) : builder.tensor(context.inputShape(input));
    builder.copy(context.input(input), target);
    return target;
  };
  return { mean: copyOf(MEAN, 1), variance: copyOf(VARIANCE, 2) };
}

function forward(context: ForwardContext): void {
  const { builder, node, saved } = context;
  const x = context.input(X);
  const shape = channelShape(x.shape);
  let mean = context.input(MEAN);
  let variance = context.input(VARIANCE);
  if (usesBatch(context)) {
    const running = runningStatistics(context);
    mean = builder.tensor([shape.c], 'f32', 'mean');
    variance = builder.tensor([shape.c], 'f32', 'variance');
    saved.set('mean', mean);
    saved.set('variance', variance);
    const momentum = numberAttribute(node, 'momentum', 0.9);
    channelStatistics(builder, { x, shape, mean, variance, running: running && { ...running, momentum } });
    for (const [output, value] of [running?.mean, running?.variance].entries()) {
      const known = node.outputs[output + 1] && value;
      if (known && known.storage !== context.output(output + 1).storage) {
        builder.copy(known, context.output(output + 1));
      }
    }
  }
  batchNorm(builder, {
    x,
    shape,
    scale: context.input(SCALE),
    shift: context.input(SHIFT),
    mean,
    variance,
    y: context.output(),
    epsilon: epsilonOf(context),
    bounds: context.bounds,
  });
}

function backward(context: BackwardContext): void {
  const { builder, node, saved } = context;
  if (context.wants(MEAN) || context.wants(VARIANCE)) {
    throw new InputError(`${describe(node)} passes no gradient on to its mean and variance`);
  }
  const x = context.input(X);
  const gradient = (index: number) => (context.wants(index) ? context.inputGradient(index) : undefined);
  const [dx, dscale, dshift] = [gradient(X), gradient(SCALE), gradient(SHIFT)];
  if (x.elements === 0) {
    for (const empty of [dscale, dshift]) if (empty) builder.clear(empty, 'no samples');
    return;
  }
  batchNormBackward(builder, {
    dy: context.outputGradient(),
    x,
    shape: channelShape(x.shape),
    scale: context.input(SCALE),
    mean: (saved.get('mean') as Value<'f32'> | undefined) ?? context.input(MEAN),
    variance: (saved.get('variance') as Value<'f32'> | undefined) ?? context.input(VARIANCE),
    epsilon: epsilonOf(context),
    ofBatch: usesBatch(context),
    dx,
    dscale,
    dshift,
  });
}

export const forwards: Forwards = { BatchNormalization: forward };

export const normalizationGradients: Gradients = { BatchNormalization: backward };
