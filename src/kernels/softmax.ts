import type { Capabilities } from '../gpu/capabilities.ts';
import { softmaxBackwardShader, softmaxShader, softmaxShortShader } from './generated/softmax.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { LINE_WG, linesPerGroup } from './lines.ts';

/** Lines of `length` elements, `inner` apart: the axis of a softmax and the product of the lengths behind it. */
export interface Lines {
  lines: number;
  length: number;
  inner: number;
}

/** Elements of a line per invocation from which they are taken by fours: a turn more than needed is then no matter. */
const FOURS_FROM = 32;

/** The longest line that one invocation holds in registers. */
const LONGEST_SHORT = 16;

/** Invocations that share a line: one for short lines, a workgroup for long ones (and few, on a CPU adapter). */
export function softmaxLanes(
  shape: Pick<Lines, 'lines' | 'length'>,
  adapter: Pick<Capabilities, 'kind' | 'tuned'>,
): number {
  const tuned = adapter.tuned?.choose<number>('softmax', adapter, shape);
  if (tuned !== undefined) return tuned;
  const enough = adapter.kind === 'gpu' ? 4096 : 16;
  return shape.length >= 2 * LINE_WG && shape.lines < enough ? LINE_WG : 1;
}

/** y = softmax(x), or log(softmax(x)), along lines. */
export function softmax(
  recorder: Recorder,
  { x, y, log, lines }: { x: Operand<'f32'>; y: Operand<'f32'>; log: boolean; lines: Lines },
): void {
  if (y.elements === 0) return;
  const lanes = softmaxLanes(lines, recorder.capabilities);
  const operands = { x, y };
  const label = log ? 'log softmax' : 'softmax';
  if (lanes === 1 && lines.length <= LONGEST_SHORT) {
    recorder.dispatch(softmaxShortShader, {
      operands,
      args: { lines: lines.lines, inner: lines.inner },
      tunables: { WG: LINE_WG, LENGTH: lines.length, LOG: log, CONTIGUOUS: lines.inner === 1 },
      workgroups: grid(lines.lines, LINE_WG),
      label,
    });
    return;
  }
  recorder.dispatch(softmaxShader, {
    operands,
    args: { ...lines },
    tunables: { WG: LINE_WG, LANES: lanes, LOG: log, FOURS: lines.length >= FOURS_FROM * lanes },
    workgroups: grid(lines.lines, linesPerGroup(lanes)),
    label,
  });
}

/** dx from the result y and its gradient dy. */
export function softmaxBackward(
  recorder: Recorder,
  { y, dy, dx, log, lines }: { y: Operand<'f32'>; dy: Operand<'f32'>; dx: Operand<'f32'>; log: boolean; lines: Lines },
): void {
  if (dx.elements === 0) return;
  const lanes = softmaxLanes(lines, recorder.capabilities);
  recorder.dispatch(softmaxBackwardShader, {
    operands: { y, dy, dx },
    args: { ...lines },
    tunables: { WG: LINE_WG, LANES: lanes, LOG: log },
    workgroups: grid(lines.lines, linesPerGroup(lanes)),
    label: log ? 'log softmax backward' : 'softmax backward',
  });
}
