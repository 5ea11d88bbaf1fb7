import { LimitError } from '../gpu/errors.ts';
import { stridedCopyShader } from './generated/layout.ts';
import type { Operand, Recorder } from './kernel.ts';
import { spread } from './spread.ts';

/** One axis of the box that is copied, lengths and strides in elements. */
export interface CopyAxis {
  size: number;
  /** Strides in the source and in the target; may be negative. */
  from: number;
  to: number;
  /**
   * Where along the box the source begins and how far it goes; what lies outside is filled. By default it covers the
   * whole axis.
   */
  low?: number;
  length?: number;
}

interface CopyBox {
  /** Outermost first. */
  axes: readonly CopyAxis[];
  fromBase: number;
  toBase: number;
}

const MAX_AXES = 6;

const isFull = ({ size, low = 0, length = size }: CopyAxis) => low <= 0 && low + length >= size;

/** The same copy with as few axes as possible: those of length 1 dropped, those that lie behind each other joined. */
export function mergeAxes(axes: readonly CopyAxis[]): CopyAxis[] {
  const merged: CopyAxis[] = [];
  for (const axis of axes) {
    if (axis.size === 1 && axis.low === undefined && axis.length === undefined) continue;
    const last = merged.at(-1);
    const isPlain = axis.low === undefined && axis.length === undefined;
    if (last && isPlain && last.from === axis.from * axis.size && last.to === axis.to * axis.size) {
      const { size } = axis;
      merged[merged.length - 1] = {
        ...axis,
        size: last.size * size,
        ...(last.low === undefined ? {} : { low: last.low * size }),
        ...(last.length === undefined ? {} : { length: last.length * size }),
      };
    } else merged.push(axis);
  }
  return merged.length > 0 ? merged : [{ size: 1, from: 1, to: 1 }];
}

/** Whether four elements may be copied at a time. */
export function isVectorCopy({ axes, fromBase, toBase }: CopyBox): boolean {
  const isWhole = (value: number) => value % 4 === 0;
  const inner = axes.at(-1)!;
  return (
    inner.from === 1 &&
    inner.to === 1 &&
    [fromBase, toBase].every(isWhole) &&
    axes.every(
      (axis) =>
        axis === inner
          ? isWhole(axis.size) && isWhole(axis.low ?? 0) && isWhole(axis.length ?? 0)
          : isWhole(axis.from) && isWhole(axis.to), // lows and lengths of outer axes count whole steps
    )
  );
}

/** Copies a box, outermost axis first, from `x` to `y`; see CopyAxis. Elements of y outside the box stay as they are. */
export function stridedCopy(
  recorder: Recorder,
  call: {
    x: Operand<'f32'>;
    y: Operand<'f32'>;
    axes: readonly CopyAxis[];
    /** First element of the source and of the target. */
    fromBase?: number;
    toBase?: number;
    fill?: number;
    label: string;
  },
): void {
  const { x, y, fromBase = 0, toBase = 0, fill = 0, label } = call;
  const box = { axes: mergeAxes(call.axes), fromBase, toBase };
  const { axes } = box;
  const elements = axes.reduce((product, { size }) => product * size, 1);
  if (elements === 0) return;
  if (axes.length > MAX_AXES) {
    throw new LimitError(`A copy (${label}) goes over ${axes.length} axes; ${MAX_AXES} are supported`);
  }
  const lanes = isVectorCopy(box) ? 4 : 1;
  const inner = axes.length - 1;
  /** Strides count vectors, except that the innermost axis, of stride 1, is shorter instead. */
  const arg = (
    name: string,
    value: (axis: CopyAxis, lanesOfAxis: number, lanesOfStride: number) => number,
    absent: number,
  ) =>
    Array.from({ length: MAX_AXES }, (_, i) => {
      const axis = axes[inner - i];
      return [`${name}${i}`, axis ? value(axis, i === 0 ? lanes : 1, i === 0 ? 1 : lanes) : absent] as const;
    });
  const { wg, span, workgroups } = spread(recorder.capabilities, elements / lanes);
  recorder.dispatch(stridedCopyShader, {
    operands: { x, y },
    args: {
      ...{ n: elements / lanes, span, from_base: fromBase / lanes, to_base: toBase / lanes, fill },
      ...(Object.fromEntries([
        ...arg('size', ({ size }, of) => size / of, 1),
        ...arg('from', ({ from }, _, of) => from / of, 0),
        ...arg('to', ({ to }, _, of) => to / of, 0),
        ...arg('low', ({ low = 0 }, of) => low / of, 0),
        ...arg('length', ({ size, length = size }, of) => length / of, 1),
      ]) as Record<AxisArg, number>),
    },
    tunables: {
      WG: wg,
      RANK: axes.length,
      CHECKED: !axes.every(isFull) || axes.some(({ low = 0 }) => low !== 0),
      T: lanes === 4 ? 'vec4f' : 'f32',
    },
    workgroups,
    label,
  });
}

type AxisArg = `${'size' | 'from' | 'to' | 'low' | 'length'}${0 | 1 | 2 | 3 | 4 | 5}`;
