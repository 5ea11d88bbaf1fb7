import { channelSplits, type QuantizerLevels } from './fakeQuantize.ts';
import { quantizationErrorShader } from './generated/quantize.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import { sumPartials } from './sumPartials.ts';

export interface QuantizationErrorOptions extends QuantizerLevels {
  x: Operand<'f32'>;
  /** Steps to try, all positive. */
  steps: Operand<'f32'>;
  /** As many as `steps`. */
  out: Operand<'f32'>;
}

/** out[i] = Σ (x − s·clamp(round(x/s), low, high))² with s = steps[i]. Sums have a fixed order. */
export function quantizationError(recorder: Recorder, options: QuantizationErrorOptions): void {
  const { x, steps, out, low, high } = options;
  const { args, tunables } = channelSplits(recorder.capabilities, { outer: 1, channels: 1, inner: x.elements });
  const { length, splits, chunk } = args;
  const { WG, T, LANES } = tunables;
  const partials = recorder.temporary('f32', steps.elements * splits, 'squared errors');
  recorder.dispatch(quantizationErrorShader, {
    operands: { x, steps, partials },
    args: { steps: steps.elements, length, splits, chunk, low, high },
    tunables: { WG, T, LANES },
    workgroups: grid(steps.elements * splits, 1),
    label: 'quantization error',
  });
  sumPartials(recorder, { partials, out, groups: steps.elements, splits, label: 'quantization error' });
}
