import { inferers } from '../../graph/infer/inferers.ts';
import type { Node, Tensor } from '../../graph/types.ts';
import { type Unary, unary, unaryBackward } from '../../kernels/unary.ts';
import type { Operator } from '../operator.ts';

interface Activation {
  op: string;
  f: Unary;
  attributes?: readonly string[];
  /** The backward pass reads the result rather than the argument, so that the argument's memory is free earlier. */
  fromResult: boolean;
  parameters?(node: Node, constant: (index: number) => Tensor | undefined): { a: number; b: number };
}

const list: readonly Activation[] = [
  { op: 'Relu', f: 'relu', fromResult: true },
  {
    op: 'LeakyRelu',
    f: 'leakyRelu',
    attributes: ['alpha'],
    fromResult: false,
    parameters: (node) => ({ a: Number(node.attributes.alpha ?? 0.01), b: 0 }),
  },
  {
    op: 'Clip',
    f: 'clip',
    fromResult: false,
    parameters: (_, constant) => ({
      a: Number(constant(1)?.data[0] ?? -3.4028234663852886e38),
      b: Number(constant(2)?.data[0] ?? 3.4028234663852886e38),
    }),
  },
  { op: 'Sigmoid', f: 'sigmoid', fromResult: true },
  { op: 'Tanh', f: 'tanh', fromResult: true },
  { op: 'HardSwish', f: 'hardSwish', fromResult: false },
];

/** Elementwise activations, by their ONNX definitions. */
export const activations: readonly Operator[] = list.map(({ op, f, attributes = [], fromResult, parameters }) => ({
  op,
  infer: inferers[op],
  attributes,
  forward(context) {
    unary(context.builder, {
      f,
      x: context.input(0),
      out: context.output(),
      ...parameters?.(context.node, context.constant),
    });
  },
  backward(context) {
    if (!context.wants(0)) return;
    unaryBackward(context.builder, {
      f,
      v: fromResult ? context.output() : context.input(0),
      dy: context.outputGradient(),
      dx: context.inputGradient(0),
      ...parameters?.(context.node, context.constant),
    });
  },
}));
