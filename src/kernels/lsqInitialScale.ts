import { channelSplits, type ScaledChannels } from './fakeQuantize.ts';
import { sumAbsoluteShader } from './generated/quantize.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { sumPartials } from './sumPartials.ts';

export interface LsqInitialScaleOptions {
  x: Operand<'f32'>;
  /** [channels] */
  scale: Operand<'f32'>;
  /** Qp, the highest level. */
  high: number;
  /** One scale for all by default. */
  channels?: ScaledChannels;
  /** The least scale, for a channel that is all zero. */
  lowest?: number;
}

/** scale = 2·mean|x|/√Qp, where LSQ's steps start (Esser et al. 2020, section 2.1). */
export function lsqInitialScale(recorder: Recorder, options: LsqInitialScaleOptions): void {
  const { x, scale, high, lowest = 1e-8 } = options;
  const { elements, args, tunables } = channelSplits(
    recorder.capabilities,
    options.channels ?? { outer: 1, channels: 1, inner: x.elements },
  );
  const { channels, splits } = args;
  const partials = recorder.temporary('f32', channels * splits, 'sums of |x|');
  recorder.dispatch(sumAbsoluteShader, {
    operands: { x, partials },
    args,
    tunables,
    workgroups: grid(channels * splits, 1),
    label: 'initial scale',
  });
  sumPartials(recorder, {
    partials,
    out: scale,
    groups: channels,
    splits,
    scale: 2 / Math.max(elements, 1) / Math.sqrt(high),
    lowest,
    label: 'initial scale',
  });
}
