import type { Capabilities } from '../gpu/capabilities.ts';
import { fakeQuantizeBackwardShader, fakeQuantizeShader } from './generated/quantize.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { spreadElements } from './spread.ts';
import { sumPartials } from './sumPartials.ts';

/** Elements that one workgroup of a reduction takes. */
const CHUNK = 4096;

/** A tensor seen as [outer, channels, inner]; one scale per channel. (1, 1, n) has one for all. */
export interface ScaledChannels {
  outer: number;
  channels: number;
  inner: number;
}

/** Integer levels of a quantizer, Qn and Qp with their signs. */
export interface QuantizerLevels {
  low: number;
  high: number;
}

/**
 * Levels of `bits` bits: 0 … 2^b − 1 unsigned; −2^(b−1) … 2^(b−1) − 1 signed; without the lowest where `narrow`, which
 * makes a signed range symmetric.
 */
export function quantizerLevels(bits: number, signed: boolean, narrow: boolean): QuantizerLevels {
  if (!signed) return { low: 0, high: 2 ** bits - 1 };
  const high = 2 ** (bits - 1) - 1;
  return { low: narrow ? -high : -high - 1, high };
}

/** Below this a step counts as this. */
const TINY = 1e-12;

/**
 * The step that a quantizer takes from its scale, as quantizer_step.wgsl has it. Powers of two are those next to it by
 * ratio; the gradient passes through that rounding (as in Jain et al. 2020, TQT, arXiv 1903.08066).
 */
export function quantizerStep(scale: number, powerOfTwo: boolean): number {
  const step = Math.fround(scale > TINY ? scale : TINY);
  return powerOfTwo ? 2 ** Math.round(Math.log2(step)) : step;
}

/** How a tensor's channels along `axis` (−1: none) lie in memory. */
export function scaledChannels(shape: readonly number[], axis: number): ScaledChannels {
  const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  if (axis < 0) return { outer: 1, channels: 1, inner: product(shape) };
  return { outer: product(shape.slice(0, axis)), channels: shape[axis]!, inner: product(shape.slice(axis + 1)) };
}

/**
 * The factor of the step's gradient, 1/√(N·Qp) (Esser et al. 2020, section 2.2): N is the number of weights that share
 * the step, or for activations the number of features of one sample.
 */
export function lsqGradientScale(count: number, high: number): number {
  return 1 / Math.sqrt(Math.max(count, 1) * high);
}

interface QuantizerOperands extends QuantizerLevels {
  x: Operand<'f32'>;
  /** [channels]; a value that is not positive counts as 1e-12 (see `quantizerStep`). */
  scale: Operand<'f32'>;
  /** The step is the power of two next to the scale. Default false. */
  powerOfTwo?: boolean | undefined;
  /** One scale for all by default. */
  channels?: ScaledChannels;
}

/** out = s·clamp(round(x/s), low, high), halves to even. */
export function fakeQuantize(recorder: Recorder, options: QuantizerOperands & { out: Operand<'f32'> }): void {
  const { x, scale, out, low, high } = options;
  const { channels, inner } = options.channels ?? { channels: 1, inner: out.elements };
  const isOne = channels === 1;
  const vectors = isOne || inner % 4 === 0;
  const { args, tunables, workgroups, lanes } = spreadElements(recorder.capabilities, out.elements, vectors);
  recorder.dispatch(fakeQuantizeShader, {
    operands: { x, scale, out },
    args: { ...args, channels, inner: isOne ? 1 : inner / lanes, low, high },
    tunables: { ...tunables, ONE: isOne, POWER_OF_TWO: options.powerOfTwo ?? false },
    workgroups,
    label: 'fake quantize',
  });
}

export interface FakeQuantizeBackwardOptions extends QuantizerOperands {
  dy: Operand<'f32'>;
  /** Gradient by x, straight through inside the range and 0 outside. Not computed where absent. */
  dx?: Operand<'f32'>;
  /** [channels]: gradient by the scale. Not computed where absent. */
  dscale?: Operand<'f32'>;
  /** See `lsqGradientScale`. Default 1. */
  gradientScale?: number;
}

/** The gradients of LSQ (Esser et al. 2020, equations 3 and 5). Sums have a fixed order. */
export function fakeQuantizeBackward(recorder: Recorder, options: FakeQuantizeBackwardOptions): void {
  const { x, scale, dy, dx, dscale, low, high, gradientScale = 1 } = options;
  const { args, tunables } = channelSplits(
    recorder.capabilities,
    options.channels ?? { outer: 1, channels: 1, inner: dy.elements },
  );
  const { channels, splits } = args;
  const partials = recorder.temporary('f32', channels * splits, 'partial gradients of scales');
  recorder.dispatch(fakeQuantizeBackwardShader, {
    operands: { x, scale, dy, dx: dx ?? recorder.temporary('f32', 4, 'no gradient'), partials },
    args: { ...args, low, high },
    tunables: { ...tunables, GRADIENT: dx !== undefined, POWER_OF_TWO: options.powerOfTwo ?? false },
    workgroups: grid(channels * splits, 1),
    label: 'fake quantize: backward',
  });
  if (!dscale) return;
  sumPartials(recorder, {
    partials,
    out: dscale,
    groups: channels,
    splits,
    scale: gradientScale,
    label: 'fake quantize: gradient of scale',
  });
}

/**
 * How a reduction over each channel is split over workgroups: a function of the shape and the kind of adapter alone, so
 * results repeat. `args` are in units of T; `elements` is how many each channel has.
 */
export function channelSplits({ kind }: Pick<Capabilities, 'kind'>, { outer, channels, inner }: ScaledChannels) {
  const isContiguous = outer === 1 || channels === 1;
  const elements = outer * inner;
  // Contiguous channels need a whole number of vectors each, others a whole number in each run of `inner`.
  const lanes = (isContiguous ? elements : inner) % 4 === 0 ? 4 : 1;
  const length = elements / lanes;
  const chunk = CHUNK / lanes;
  const splits = Math.max(1, Math.ceil(length / chunk));
  return {
    elements,
    args: { channels, inner: isContiguous ? length : inner / lanes, length, splits, chunk },
    tunables: {
      // Few invocations on a CPU adapter, where a barrier costs more than a few sums.
      WG: kind === 'cpu' ? 8 : 64,
      T: lanes === 4 ? 'vec4f' : 'f32',
      LANES: lanes,
      CONTIGUOUS: isContiguous,
    },
  };
}
