import { InputError } from '../../graph/errors.ts';
import type { Node } from '../../graph/types.ts';
import {
  fakeQuantizeBackward,
  fakeQuantize as fakeQuantizeKernel,
  lsqGradientScale,
  scaledChannels,
} from '../../kernels/fakeQuantize.ts';
import type { BackwardContext, Gradients, Operator } from '../operator.ts';
import { FAKE_QUANTIZE, MOST_BITS, quantizerSettings } from '../quantizer.ts';
import { elementsOf } from '../value.ts';

function check(node: Node, shapes: (readonly number[] | undefined)[]): void {
  const { bits, axis, signed } = quantizerSettings(node);
  const fewest = signed ? 2 : 1;
  if (!Number.isInteger(bits) || bits < fewest || bits > MOST_BITS) {
    throw new InputError(`Node ${node.name}: bits is ${bits}, which is not in ${fewest}..${MOST_BITS}`);
  }
  const [shape, scale] = shapes;
  if (!shape || !scale)
    throw new InputError(`Node ${node.name} needs two inputs of known shape, a tensor and its scale`);
  if (!Number.isInteger(axis) || axis < -1 || axis >= shape.length) {
    throw new InputError(`Node ${node.name}: axis ${axis} is none of a tensor with ${shape.length} dimensions`);
  }
  const scales = axis < 0 ? 1 : shape[axis];
  if (elementsOf(scale) !== scales) {
    throw new InputError(`Node ${node.name}: the scale has ${elementsOf(scale)} elements where ${scales} are needed`);
  }
}

/**
 * `wgslim.FakeQuantize`: x̂ = s·clamp(round(x/s), low, high), trained by LSQ (Esser et al. 2020). Inputs x and scale;
 * attributes `bits`, `signed`, `narrow` (a signed range without its lowest level), `axis` (one scale per index of that
 * dimension; −1: one scale) and `powerOfTwo` (s is the power of two next to the scale).
 */
const operator: Operator = {
  op: FAKE_QUANTIZE,
  infer: (node, inputs) => {
    if (!inputs[0]) throw new InputError(`Node ${node.name} lacks its input 0`);
    return [[...inputs[0]]];
  },
  attributes: ['bits', 'signed', 'axis', 'narrow', 'powerOfTwo'],
  check,
  roles: () => ({ 0: 'weight', 1: 'scale' }),
  forward(context) {
    const { axis, powerOfTwo, levels } = quantizerSettings(context.node);
    fakeQuantizeKernel(context.builder, {
      x: context.input(0),
      scale: context.input(1),
      out: context.output(),
      channels: scaledChannels(context.inputShape(0), axis),
      powerOfTwo,
      ...levels,
    });
  },
};

function backward(context: BackwardContext): void {
  const { axis, powerOfTwo, levels } = quantizerSettings(context.node);
  const shape = context.inputShape(0);
  const channels = scaledChannels(shape, axis);
  // N of LSQ's gradient scale: weights that share a scale, or features of a sample.
  const isWeight = context.constant(0) !== undefined;
  const sharing = elementsOf(shape) / channels.channels;
  const count = isWeight || shape.length === 0 ? sharing : sharing / (axis === 0 ? 1 : Math.max(shape[0], 1));
  fakeQuantizeBackward(context.builder, {
    x: context.input(0),
    scale: context.input(1),
    dy: context.outputGradient(),
    dx: context.wants(0) ? context.inputGradient(0) : undefined,
    dscale: context.wants(1) ? context.inputGradient(1) : undefined,
    channels,
    powerOfTwo,
    gradientScale: lsqGradientScale(count, levels.high),
    ...levels,
  });
}

export const fakeQuantize: readonly Operator[] = [operator];

// The name in full: a bundler keeps an object with a computed key, and with it the gradient, in every page.
export const fakeQuantizeGradients: Gradients = { 'wgslim.FakeQuantize': backward };
