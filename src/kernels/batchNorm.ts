import { type ChannelShape, type ChannelWalk, walkChannels } from './channels.ts';
import {
  batchNormBackwardShader,
  batchNormGradientFactorsShader,
  batchNormGradientSumsShader,
  batchNormShader,
  channelMomentsShader,
  channelStatisticsShader,
} from './generated/norm.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';

type Floats = Operand<'f32'>;

/** Invocations that add up the parts of one channel: few on a CPU adapter, where a barrier costs more than a sum. */
const finishSize = ({ capabilities }: Recorder) => (capabilities.kind === 'cpu' ? 8 : 64);

const tunables = ({ wg, lanes }: ChannelWalk) => ({ WG: wg, T: lanes === 4 ? 'vec4f' : 'f32' });
const workgroups = ({ args }: ChannelWalk) => grid(args.channels * args.splits, 1);

/**
 * Mean and biased variance [c] of every channel of x [n, c, plane], over n and plane. `running` statistics, where given,
 * take their step: momentum·running + (1 − momentum)·batch. An empty batch has no statistics: nothing is written.
 */
export function channelStatistics(
  recorder: Recorder,
  {
    x,
    shape,
    mean,
    variance,
    running,
  }: {
    x: Floats;
    shape: ChannelShape;
    mean: Floats;
    variance: Floats;
    running?: { mean: Floats; variance: Floats; momentum: number } | undefined;
  },
): void {
  if (x.elements === 0) return;
  const walk = walkChannels(recorder.capabilities, shape, { reduction: true });
  const { channels, splits } = walk.args;
  const partial = recorder.temporary('f32', channels * splits * 4, 'moments');
  recorder.dispatch(channelMomentsShader, {
    operands: { x, partial },
    args: walk.args,
    tunables: { ...tunables(walk), LANES: walk.lanes },
    workgroups: workgroups(walk),
    label: 'moments',
  });
  recorder.dispatch(channelStatisticsShader, {
    operands: {
      partial,
      mean,
      variance,
      running_mean: running?.mean ?? recorder.temporary('f32', channels, 'no running mean'),
      running_variance: running?.variance ?? recorder.temporary('f32', channels, 'no running variance'),
    },
    args: { channels, splits, momentum: running?.momentum ?? 0 },
    tunables: { WG: finishSize(recorder) },
    workgroups: grid(channels, 1),
    label: 'statistics',
  });
}

/** y = (x − mean) / √(variance + epsilon) · scale + shift, per channel of x [n, c, plane], clamped to the bounds. */
export function batchNorm(
  recorder: Recorder,
  operands: {
    x: Floats;
    shape: ChannelShape;
    scale: Floats;
    shift: Floats;
    mean: Floats;
    variance: Floats;
    y: Floats;
    epsilon: number;
    bounds?: { lo: number; hi: number } | undefined;
  },
): void {
  const { x, shape, scale, shift, mean, variance, y, epsilon, bounds } = operands;
  if (y.elements === 0) return;
  const walk = walkChannels(recorder.capabilities, shape, { reduction: false });
  recorder.dispatch(batchNormShader, {
    operands: { x, scale, shift, mean, variance, y },
    args: { ...walk.args, epsilon, lo: bounds?.lo ?? 0, hi: bounds?.hi ?? 0 },
    tunables: { ...tunables(walk), BOUNDED: bounds !== undefined },
    workgroups: workgroups(walk),
    label: 'normalise',
  });
}

/**
 * Gradients of `batchNorm`, those that are given a place. `ofBatch`: mean and variance are the statistics of x itself,
 * so that they pass a gradient on to it; otherwise they are constants. x must not be empty.
 */
export function batchNormBackward(
  recorder: Recorder,
  operands: {
    dy: Floats;
    x: Floats;
    shape: ChannelShape;
    scale: Floats;
    mean: Floats;
    variance: Floats;
    epsilon: number;
    ofBatch: boolean;
    dx?: Floats | undefined;
    dscale?: Floats | undefined;
    dshift?: Floats | undefined;
  },
): void {
  const { dy, x, shape, scale, mean, variance, epsilon, ofBatch, dx, dscale, dshift } = operands;
  const needsSums = ofBatch || Boolean(dscale ?? dshift);
  const walk = walkChannels(recorder.capabilities, shape, { reduction: true });
  const { channels } = walk.args;
  const splits = needsSums ? walk.args.splits : 0;
  const partial = recorder.temporary('f32', Math.max(1, channels * splits) * 2, 'gradient sums');
  if (needsSums) {
    recorder.dispatch(batchNormGradientSumsShader, {
      operands: { dy, x, mean, partial },
      args: walk.args,
      tunables: { ...tunables(walk), LANES: walk.lanes },
      workgroups: workgroups(walk),
      label: 'gradient sums',
    });
  }
  const factors = recorder.temporary('f32', channels * 4, 'gradient factors');
  recorder.dispatch(batchNormGradientFactorsShader, {
    operands: {
      partial,
      scale,
      mean,
      variance,
      dscale: dscale ?? recorder.temporary('f32', channels, 'no gradient by scale'),
      dshift: dshift ?? recorder.temporary('f32', channels, 'no gradient by shift'),
      factors,
    },
    args: { channels, splits, epsilon, per_element: ofBatch ? 1 / (shape.n * shape.plane) : 0 },
    tunables: { WG: finishSize(recorder) },
    workgroups: grid(channels, 1),
    label: 'gradients by scale and shift',
  });
  if (!dx) return;
  const steps = walkChannels(recorder.capabilities, shape, { reduction: false });
  recorder.dispatch(batchNormBackwardShader, {
    operands: { dy, x, factors, dx },
    args: steps.args,
    tunables: tunables(steps),
    workgroups: workgroups(steps),
    label: 'gradient by x',
  });
}
