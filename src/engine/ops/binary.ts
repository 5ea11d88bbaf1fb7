import { inferers } from '../../graph/infer/inferers.ts';
import type { Graph, Node } from '../../graph/types.ts';
import { type Binary, binary, expand } from '../../kernels/binary.ts';
import { reduceSum } from '../../kernels/reduceSum.ts';
import type { BackwardContext, Gradients, Operator, Role } from '../operator.ts';
import type { Value } from '../value.ts';

const functions: Readonly<Record<string, Binary>> = { Add: 'add', Sub: 'sub', Mul: 'mul', Div: 'div' };

const LINEAR: ReadonlySet<string> = new Set(['MatMul', 'Conv', 'Gemm']);

/**
 * What is added to the direct result of a linear layer is its bias and is trained. Every other initializer of an
 * elementwise operator is a constant: input normalisation, say, must not be trained.
 */
function roles(node: Node, graph: Graph): Readonly<Record<number, Role>> {
  if (node.op !== 'Add') return {};
  const isBias = (other: number) =>
    graph.nodes.some(({ op, outputs }) => LINEAR.has(op) && outputs[0] === node.inputs[other]);
  return Object.fromEntries([0, 1].filter((index) => isBias(1 - index)).map((index) => [index, 'bias'] as const));
}

/** Axes of `out` along which an operand of the given shape was broadcast. */
export function broadcastAxes(shape: readonly number[], out: readonly number[]): number[] {
  const shift = out.length - shape.length;
  return out.flatMap((size, axis) => (size !== 1 && (shape[axis - shift] ?? 1) === 1 ? [axis] : []));
}

/**
 * Gradient of operand `index`: scale·(dy f other) summed over the axes along which the operand was broadcast, or
 * scale·dy where there is no other.
 */
function operandGradient(
  context: BackwardContext,
  index: number,
  { f, dy, other, scale = 1 }: { f?: Binary; dy: Value<'f32'>; other?: number; scale?: number },
): void {
  const { builder } = context;
  const shape = context.outputShape();
  const axes = broadcastAxes(context.inputShape(index), shape);
  const whole = axes.length === 0;
  let product = dy;
  if (f !== undefined && other !== undefined) {
    product = whole ? context.inputGradient(index) : builder.tensor(shape, 'f32', 'gradient before its sum');
    const otherShape = context.inputShape(other);
    binary(builder, {
      ...{ f, a: dy, b: context.input(other), out: product },
      ...{ aShape: shape, bShape: otherShape, shape },
      ...{ scale: whole ? scale : 1, label: `gradient of operand ${index}` },
    });
    if (whole) return;
  }
  if (!whole) {
    reduceSum(builder, { x: product, out: context.inputGradient(index), shape, axes, scale, label: 'sum of gradient' });
  } else if (scale === 1) {
    context.passGradient(index, dy);
  } else {
    expand(builder, { x: dy, out: context.inputGradient(index), xShape: shape, shape, scale, label: 'negate' });
  }
}

export const arithmeticGradients: Gradients = {
  Add(context) {
    for (const index of [0, 1]) {
      if (context.wants(index)) operandGradient(context, index, { dy: context.outputGradient() });
    }
  },
  Sub(context) {
    for (const index of [0, 1]) {
      if (context.wants(index)) operandGradient(context, index, { dy: context.outputGradient(), scale: 1 - 2 * index });
    }
  },
  Mul(context) {
    for (const index of [0, 1]) {
      if (context.wants(index))
        operandGradient(context, index, { f: 'mul', dy: context.outputGradient(), other: 1 - index });
    }
  },
  // y = a/b: da = dy/b and db = -dy·y/b.
  Div(context) {
    const dy = context.outputGradient();
    if (context.wants(0)) operandGradient(context, 0, { f: 'div', dy, other: 1 });
    if (!context.wants(1)) return;
    const shape = context.outputShape();
    const product = context.builder.tensor(shape, 'f32', 'dy·y');
    const y = context.output();
    binary(context.builder, {
      f: 'mul',
      a: dy,
      b: y,
      out: product,
      aShape: shape,
      bShape: shape,
      shape,
      label: 'dy·y',
    });
    operandGradient(context, 1, { f: 'div', dy: product, other: 1, scale: -1 });
  },
};

/** Elementwise arithmetic with NumPy's multidirectional broadcasting. */
export const arithmetic: readonly Operator[] = Object.entries(functions).map(([op, f]) => ({
  op,
  infer: inferers[op]!,
  attributes: [],
  roles,
  canBound: op !== 'Div', // whose gradient reads its result
  forward(context) {
    binary(context.builder, {
      ...{ f, a: context.input(0), b: context.input(1), out: context.output() },
      ...{ aShape: context.inputShape(0), bShape: context.inputShape(1), shape: context.outputShape() },
      bounds: context.bounds,
    });
  },
}));
