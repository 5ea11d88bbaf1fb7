import { describe } from '../../graph/attributes.ts';
import { InputError } from '../../graph/errors.ts';
import { type PadGeometry, padGeometry } from '../../graph/infer/layout.ts';
import { rowMajorStrides, toNumbers } from '../../graph/tensor.ts';
import { type CopyAxis, stridedCopy } from '../../kernels/stridedCopy.ts';
import type { ForwardContext, Gradients } from '../operator.ts';
import { elementsOf, type Value } from '../value.ts';
import { constantsOf } from './common.ts';
import type { Forwards } from './lazily.ts';
import { type TakeAlong, takeAlong, takeAlongBackward } from './take.ts';

const geometry = (context: Pick<ForwardContext, 'node' | 'constant'>, shape: readonly number[]) =>
  padGeometry(context.node, shape, constantsOf(context));

const isNoOp = ({ begins, ends }: PadGeometry) => [...begins, ...ends].every((pad) => pad === 0);

/** The number that a constant Pad fills in; 0 where it gives none. */
function fillOf({ node, constant, hasInput }: ForwardContext): number {
  if (!hasInput(2)) return 0;
  const value = constant(2);
  if (!value)
    throw new InputError(`${describe(node)} fills in a value that depends on the data, which is not supported`);
  return toNumbers(value)[0] ?? 0;
}

/** The copy out of `inner`, which lies at `begins` in a tensor of shape `outer`; negative ones cut off. */
function padAxes(inner: readonly number[], outer: readonly number[], begins: readonly number[]): CopyAxis[] {
  const from = rowMajorStrides(inner);
  const to = rowMajorStrides(outer);
  return outer.map((size, i) => {
    const [low, length] = [begins[i]!, inner[i]!];
    const axis = { size, from: from[i]!, to: to[i]! };
    return low === 0 && length === size ? axis : { ...axis, low, length };
  });
}

/** Where along an axis every element of the result comes from, for the modes that repeat the input's own elements. */
function padIndices(
  mode: 'reflect' | 'edge' | 'wrap',
  length: number,
  begin: number,
  end: number,
): Uint32Array<ArrayBuffer> {
  const modulo = (value: number, period: number) => ((value % period) + period) % period;
  return Uint32Array.from({ length: length + begin + end }, (_, position) => {
    const at = position - begin;
    if (mode === 'edge') return Math.min(Math.max(at, 0), length - 1);
    if (mode === 'wrap') return modulo(at, length);
    if (length === 1) return 0;
    const phase = modulo(at, 2 * (length - 1));
    return phase < length ? phase : 2 * (length - 1) - phase;
  });
}

/** The padded axes one after the other, each with the shape before and after it. */
function padSteps(shape: readonly number[], { mode, begins, ends }: PadGeometry) {
  const steps: { along: TakeAlong; before: readonly number[]; after: readonly number[] }[] = [];
  let before = shape;
  shape.forEach((length, axis) => {
    const [begin, end] = [begins[axis]!, ends[axis]!];
    if (mode === 'constant' || (begin === 0 && end === 0)) return;
    const along = { axis, indices: padIndices(mode, length, begin, end) };
    const after = before.with(axis, along.indices.length);
    steps.push({ along, before, after });
    before = after;
  });
  return steps;
}

export const forwards: Forwards = {
  Pad(context) {
    const { builder } = context;
    const x = context.input(0);
    const pads = geometry(context, x.shape);
    if (isNoOp(pads)) {
      context.alias(0, x);
    } else if (pads.mode === 'constant') {
      const axes = padAxes(x.shape, pads.shape, pads.begins);
      stridedCopy(builder, { x, y: context.output(), axes, fill: fillOf(context), label: 'pad' });
    } else {
      const steps = padSteps(x.shape, pads);
      let from = x;
      steps.forEach(({ along, after }, i) => {
        const y: Value<'f32'> = i === steps.length - 1 ? context.output() : builder.tensor(after, 'f32', 'padded');
        takeAlong(builder, { x: from, y, along });
        from = y;
      });
    }
  },
};

export const padGradients: Gradients = {
  Pad(context) {
    if (!context.wants(0)) return;
    const { builder } = context;
    const shape = context.inputShape(0);
    const pads = geometry(context, shape);
    const dy = context.outputGradient();
    if (isNoOp(pads)) {
      context.passGradient(0, dy);
    } else if (elementsOf(pads.shape) === 0) {
      builder.clear(context.inputGradient(0), 'all cut off');
    } else if (pads.mode === 'constant') {
      // Cutting the padding off is padding by the negative amounts; what Pad cut off has no gradient.
      const axes = padAxes(
        pads.shape,
        shape,
        pads.begins.map((begin) => -begin),
      );
      stridedCopy(builder, { x: dy, y: context.inputGradient(0), axes, label: 'pad gradient' });
    } else {
      const steps = padSteps(shape, pads);
      let from = dy;
      steps.toReversed().forEach(({ along, before }, i) => {
        const dx = i === steps.length - 1 ? context.inputGradient(0) : builder.tensor(before, 'f32', 'gradient');
        takeAlongBackward(builder, { dy: from, dx, along });
        from = dx;
      });
    }
  },
};
