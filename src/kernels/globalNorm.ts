import { sumSquaresShader } from './generated/train.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { sumPartials } from './sumPartials.ts';

const BLOCK = 4096;

export interface NormRange {
  gradients: Operand<'f32'>;
  mask?: Operand<'u32'>;
  segments: Operand<'u32'>;
}

/** norm[0] = √Σg² over the gradients that an update will use: those of trainable segments whose mask bit is 1. */
export function globalNorm(
  recorder: Recorder,
  { ranges, norm }: { ranges: readonly NormRange[]; norm: Operand<'f32'> },
): void {
  const blocks = ranges.map(({ gradients }) => Math.ceil(gradients.elements / BLOCK));
  const splits = blocks.reduce((sum, count) => sum + count, 0);
  const partials = recorder.temporary('f32', splits, 'sums of squares');
  let first = 0;
  ranges.forEach(({ gradients, mask, segments }, index) => {
    recorder.dispatch(sumSquaresShader, {
      operands: { gradients, mask: mask ?? segments, segments, partials },
      args: { first },
      tunables: { MASKED: mask !== undefined },
      workgroups: grid(blocks[index], 1),
      label: 'gradient norm',
    });
    first += blocks[index];
  });
  sumPartials(recorder, { partials, out: norm, groups: 1, splits, root: true, label: 'gradient norm' });
}
