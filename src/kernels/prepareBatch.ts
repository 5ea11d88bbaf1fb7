import { prepareBatchShader } from './generated/train.ts';
import type { Operand, Recorder } from './kernel.ts';
import { spread } from './spread.ts';

export interface PrepareBatchOptions {
  /**
   * [n, C, sourceHeight, sourceWidth] raw pixels: bytes, four in a u32 (little-endian, no padding between samples), or
   * floats.
   */
  pixels: Operand<'u32'> | Operand<'f32'>;
  /**
   * [n, 4] of (dx, dy, flip, 0): where in the source the window that is kept begins, and whether it is mirrored. What
   * lies outside of the source is a raw 0 (torchvision's RandomCrop with padding k: dx, dy in -k..k). Without it the
   * window begins at (0, 0).
   */
  augment?: Operand<'i32'>;
  /** [3, C], from `foldNormalisation`. */
  affine: Operand<'f32'>;
  /** [n, C, height, width], or [n, height, width, C]. */
  out: Operand<'f32'>;
  samples: number;
  channels: number;
  height: number;
  width: number;
  /** Size of the source; the result's by default. */
  sourceHeight?: number;
  sourceWidth?: number;
  /** `flat` inputs have the order of `nchw`. */
  layout?: 'nchw' | 'nhwc' | 'flat';
  /** The colours of the result in the reverse order of the source's (`bgr`). */
  reverseChannels?: boolean;
}

/** Raw pixels to the normalised batch: (p·scale − mean[c]) / std[c], cropped, mirrored and laid out as the model wants. */
export function prepareBatch(recorder: Recorder, options: PrepareBatchOptions): void {
  const { pixels, affine, out, samples, channels, height, width, layout = 'nchw' } = options;
  const { sourceHeight = height, sourceWidth = width } = options;
  const n = samples * channels * height * width;
  if (out.elements < n) throw new Error(`prepareBatch: ${out.elements} elements do not hold ${samples} samples`);
  const scalars = samples * channels * sourceHeight * sourceWidth;
  if (pixels.elements < (pixels.dtype === 'f32' ? scalars : Math.ceil(scalars / 4))) {
    throw new Error(`prepareBatch: the pixels' ${pixels.elements} scalars do not hold ${samples} samples`);
  }
  const { wg, span, workgroups } = spread(recorder.capabilities, n);
  recorder.dispatch(prepareBatchShader, {
    operands: {
      pixels: { ...pixels, dtype: 'u32' }, // floats are read by their bits
      augment: options.augment ?? recorder.temporary('i32', 4, 'no augmentation'),
      affine,
      out,
    },
    args: {
      n,
      span,
      channels,
      height,
      width,
      source_height: sourceHeight,
      source_width: sourceWidth,
      reverse: options.reverseChannels ? 1 : 0,
    },
    tunables: {
      WG: wg,
      FLOAT: pixels.dtype === 'f32',
      AUGMENT: options.augment !== undefined,
      NHWC: layout === 'nhwc',
    },
    workgroups,
    label: 'prepare batch',
  });
}

/**
 * What `prepareBatch` takes as `affine`: per channel of the result, mean/scale in two floats whose sum has twice their
 * precision, then scale/std.
 * @param mean one number, or one per channel in the order of the result; `std` likewise
 */
export function foldNormalisation(
  channels: number,
  { scale, mean, std }: { scale: number; mean: readonly number[]; std: readonly number[] },
): Float32Array<ArrayBuffer> {
  const affine = new Float32Array(3 * channels);
  for (let c = 0; c < channels; c++) {
    const shift = (mean.length === 1 ? mean[0]! : mean[c]!) / scale;
    affine[c] = shift;
    affine[channels + c] = shift - affine[c]!;
    affine[2 * channels + c] = scale / (std.length === 1 ? std[0]! : std[c]!);
  }
  return affine;
}
