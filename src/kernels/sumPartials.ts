import { sumPartialsShader } from './generated/train.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { rowLanes } from './lanes.ts';

export interface SumPartialsOptions {
  /** [groups, splits] */
  partials: Operand<'f32'>;
  /** [groups] */
  out: Operand<'f32'>;
  groups: number;
  splits: number;
  scale?: number;
  /** No result is below this. */
  lowest?: number;
  /** The square root of the result. */
  root?: boolean;
  label?: string;
}

/** out[g] = max(scale · Σ_s partials[g][s], lowest): the second pass of sums that were split over workgroups. */
export function sumPartials(recorder: Recorder, options: SumPartialsOptions): void {
  const { partials, out, groups, splits, scale = 1, lowest = -3.4028234663852886e38, root = false, label } = options;
  const { LANES, ROWS, WG } = rowLanes(splits);
  recorder.dispatch(sumPartialsShader, {
    operands: { partials, out },
    args: { groups, splits, scale, lowest },
    tunables: { LANES, ROWS, WG, ROOT: root },
    workgroups: grid(groups, ROWS),
    label: label ?? 'sum',
  });
}
