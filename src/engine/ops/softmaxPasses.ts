import { intAttribute } from '../../graph/attributes.ts';
import { resolveAxis } from '../../graph/infer/common.ts';
import type { Node } from '../../graph/types.ts';
import { type Lines, softmax, softmaxBackward } from '../../kernels/softmax.ts';
import type { BackwardContext, ForwardContext, Gradients } from '../operator.ts';
import { elementsOf } from '../value.ts';
import type { Forwards } from './lazily.ts';

/** The lines along the attribute `axis` (default: the last; the importer rewrites the older opsets' flattened form). */
export function softmaxGeometry(node: Node, shape: readonly number[]): Lines {
  const axis = resolveAxis(node, intAttribute(node, 'axis', -1), shape.length);
  const length = shape[axis]!;
  const inner = elementsOf(shape.slice(axis + 1));
  return { lines: elementsOf(shape.slice(0, axis)) * inner, length, inner };
}

const isLog = (op: string) => op === 'LogSoftmax';

export const forwards: Forwards = { Softmax: forward, LogSoftmax: forward };

function forward(context: ForwardContext): void {
  const lines = softmaxGeometry(context.node, context.inputShape(0));
  softmax(context.builder, { x: context.input(0), y: context.output(), log: isLog(context.node.op), lines });
}

function backward(context: BackwardContext): void {
  if (!context.wants(0)) return;
  softmaxBackward(context.builder, {
    y: context.output(),
    dy: context.outputGradient(),
    dx: context.inputGradient(0),
    log: isLog(context.node.op),
    lines: softmaxGeometry(context.node, context.inputShape(0)),
  });
}

export const softmaxGradients: Gradients = { Softmax: backward, LogSoftmax: backward };
