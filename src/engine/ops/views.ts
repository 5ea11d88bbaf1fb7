import { describe } from '../../graph/attributes.ts';
import { InputError } from '../../graph/errors.ts';
import { inferers } from '../../graph/infer/inferers.ts';
import { toNumbers } from '../../graph/tensor.ts';
import type { BackwardContext, ForwardContext, Gradients, Operator } from '../operator.ts';

const attributes: Readonly<Record<string, readonly string[]>> = {
  Reshape: ['allowzero'],
  Flatten: ['axis'],
  Squeeze: [],
  Unsqueeze: [],
  Identity: [],
  // Dropout does nothing in evaluation, and fine-tuning a network that is being compressed goes without it: pruning and
  // quantization regularise enough, and a run stays the same function of its seed on every batch size.
  Dropout: ['seed', 'ratio'],
};

function refuseTrainingDropout({ node, constant }: ForwardContext): void {
  const mode = constant(2);
  if (node.op === 'Dropout' && node.inputs[2] && (!mode || toNumbers(mode)[0] !== 0)) {
    throw new InputError(
      `${describe(node)} was exported in training mode, which is not supported; export for inference`,
    );
  }
}

/** Operators that leave the elements where they are: no dispatch in either direction. */
export const views: readonly Operator[] = Object.entries(attributes).map(([op, list]) => ({
  op,
  infer: inferers[op]!,
  attributes: list,
  forward(context) {
    refuseTrainingDropout(context);
    context.alias(0, context.input(0));
  },
}));

function backward(context: BackwardContext): void {
  if (context.wants(0)) context.passGradient(0, context.outputGradient());
}

export const viewGradients: Gradients = {
  Reshape: backward,
  Flatten: backward,
  Squeeze: backward,
  Unsqueeze: backward,
  Identity: backward,
  Dropout: backward,
};
