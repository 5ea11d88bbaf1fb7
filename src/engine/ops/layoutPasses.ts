import { intAttribute } from '../../graph/attributes.ts';
import { resolveAxis } from '../../graph/infer/common.ts';
import { resolvePermutation, sliceGeometry } from '../../graph/infer/layout.ts';
import { rowMajorStrides } from '../../graph/tensor.ts';
import type { Node } from '../../graph/types.ts';
import { type CopyAxis, mergeAxes, stridedCopy } from '../../kernels/stridedCopy.ts';
import type { BackwardContext, ForwardContext, Gradients } from '../operator.ts';
import { elementsOf } from '../value.ts';
import { constantsOf } from './common.ts';
import type { Forwards } from './lazily.ts';

/** Swaps the two sides of a copy. */
const reversed = (axes: readonly CopyAxis[]): CopyAxis[] =>
  axes.map(({ size, from, to }) => ({ size, from: to, to: from }));

/** A copy that changes no element's place. */
function isIdentity(axes: readonly CopyAxis[], base: number): boolean {
  const merged = mergeAxes(axes);
  return base === 0 && merged.length === 1 && merged[0]!.from === 1 && merged[0]!.to === 1;
}

/** Axes in the order of the output. */
function transposeAxes(node: Node, shape: readonly number[]): CopyAxis[] {
  const permutation = resolvePermutation(node, shape.length);
  const from = rowMajorStrides(shape);
  const outShape = permutation.map((axis) => shape[axis]!);
  const to = rowMajorStrides(outShape);
  return permutation.map((axis, i) => ({ size: outShape[i]!, from: from[axis]!, to: to[i]! }));
}

function sliceAxes(
  context: Pick<ForwardContext, 'node' | 'constant'>,
  shape: readonly number[],
): { axes: CopyAxis[]; base: number } {
  const { starts, steps, sizes } = sliceGeometry(context.node, shape, constantsOf(context));
  const from = rowMajorStrides(shape);
  const to = rowMajorStrides(sizes);
  return {
    axes: sizes.map((size, i) => ({ size, from: from[i]! * steps[i]!, to: to[i]! })),
    base: elementsOf(sizes) === 0 ? 0 : starts.reduce((sum, start, i) => sum + start * from[i]!, 0),
  };
}

/** Of every input the copy into its place: [before the axis, the axis and all behind it]. */
function concatParts(context: ForwardContext | BackwardContext) {
  const shape = context.outputShape();
  const axis = resolveAxis(context.node, intAttribute(context.node, 'axis'), shape.length);
  const outer = elementsOf(shape.slice(0, axis));
  const row = elementsOf(shape.slice(axis));
  let base = 0;
  return context.node.inputs.map((_, index) => {
    const size = elementsOf(context.inputShape(index).slice(axis));
    const part = {
      index,
      axes: [
        { size: outer, from: size, to: row },
        { size, from: 1, to: 1 },
      ],
      base,
    };
    base += size;
    return part;
  });
}

export const forwards: Forwards = {
  Transpose(context) {
    const axes = transposeAxes(context.node, context.input(0).shape);
    if (isIdentity(axes, 0)) context.alias(0, context.input(0));
    else stridedCopy(context.builder, { x: context.input(0), y: context.output(), axes, label: 'transpose' });
  },
  Slice(context) {
    const { axes, base } = sliceAxes(context, context.input(0).shape);
    const x = context.input(0);
    if (isIdentity(axes, base) && elementsOf(context.outputShape()) === x.elements) context.alias(0, x);
    else stridedCopy(context.builder, { x, y: context.output(), axes, fromBase: base, label: 'slice' });
  },
  Concat(context) {
    if (context.node.inputs.length === 1) {
      context.alias(0, context.input(0));
      return;
    }
    const y = context.output();
    for (const { index, axes, base } of concatParts(context)) {
      stridedCopy(context.builder, { x: context.input(index), y, axes, toBase: base, label: `part ${index}` });
    }
  },
};

export const layoutGradients: Gradients = {
  Transpose(context) {
    if (!context.wants(0)) return;
    const axes = transposeAxes(context.node, context.inputShape(0));
    const dy = context.outputGradient();
    if (isIdentity(axes, 0)) context.passGradient(0, dy);
    else {
      const label = 'transpose gradient';
      stridedCopy(context.builder, { x: dy, y: context.inputGradient(0), axes: reversed(axes), label });
    }
  },
  Slice(context) {
    if (!context.wants(0)) return;
    const { builder } = context;
    const { axes, base } = sliceAxes(context, context.inputShape(0));
    const dy = context.outputGradient();
    const label = 'slice gradient';
    if (isIdentity(axes, base) && dy.elements === elementsOf(context.inputShape(0))) {
      context.passGradient(0, dy);
      return;
    }
    const dx = context.inputGradient(0);
    if (dx.elements > dy.elements) builder.clear(dx, 'what the slice left out');
    stridedCopy(builder, { x: dy, y: dx, axes: reversed(axes), toBase: base, label });
  },
  Concat(context) {
    const dy = context.outputGradient();
    if (context.node.inputs.length === 1) {
      if (context.wants(0)) context.passGradient(0, dy);
      return;
    }
    for (const { index, axes, base } of concatParts(context)) {
      if (!context.wants(index)) continue;
      stridedCopy(context.builder, {
        x: dy,
        y: context.inputGradient(index),
        axes: reversed(axes),
        fromBase: base,
        label: `gradient of part ${index}`,
      });
    }
  },
};
