import { inferers } from '../../graph/infer/inferers.ts';
import type { Node, Tensor } from '../../graph/types.ts';
import { HIGHEST, LOWEST } from '../../kernels/reduceSplits.ts';
import { type Unary, unary, unaryBackward } from '../../kernels/unary.ts';
import type { BackwardContext, Bounds, Gradients, Operator } from '../operator.ts';

interface Activation {
  op: string;
  f: Unary;
  attributes?: readonly string[];
  /** The backward pass reads the result rather than the argument, so that the argument's memory is free earlier. */
  fromResult: boolean;
  parameters?(node: Node, constant: (index: number) => Tensor | undefined): { a: number; b: number };
  clamps?: Operator['clamps'];
}

const clipBounds = (_: Node, constant: (index: number) => Tensor | undefined): Bounds => ({
  lo: Number(constant(1)?.data[0] ?? LOWEST),
  hi: Number(constant(2)?.data[0] ?? HIGHEST),
});

const list: readonly Activation[] = [
  { op: 'Relu', f: 'relu', fromResult: true, clamps: () => ({ lo: 0, hi: HIGHEST }) },
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
    fromResult: true,
    clamps: clipBounds,
    parameters(node, constant) {
      const { lo, hi } = clipBounds(node, constant);
      return { a: lo, b: hi };
    },
  },
  { op: 'Sigmoid', f: 'sigmoid', fromResult: true },
  { op: 'Tanh', f: 'tanh', fromResult: true },
  { op: 'HardSwish', f: 'hardSwish', fromResult: false },
];

/** Elementwise activations, by their ONNX definitions. */
export const activations: readonly Operator[] = list.map(({ op, f, attributes = [], parameters, clamps }) => ({
  op,
  infer: inferers[op],
  attributes,
  ...(clamps && { clamps }),
  forward(context) {
    unary(context.builder, {
      f,
      x: context.input(0),
      out: context.output(),
      ...parameters?.(context.node, context.constant),
    });
  },
}));

function backward(context: BackwardContext): void {
  if (!context.wants(0)) return;
  const { f, fromResult, parameters } = list.find(({ op }) => op === context.node.op) as Activation;
  unaryBackward(context.builder, {
    f,
    v: fromResult ? context.output() : context.input(0),
    dy: context.outputGradient(),
    dx: context.inputGradient(0),
    ...parameters?.(context.node, context.constant),
  });
}

export const activationGradients: Gradients = {
  Relu: backward,
  LeakyRelu: backward,
  Clip: backward,
  Sigmoid: backward,
  Tanh: backward,
  HardSwish: backward,
};
