import { LimitError } from '../gpu/errors.ts';
import { planesHeight, planesWidth, type QuantizedPlanes } from './int8Planes.ts';
import type { Int8Processor } from './int8Processor.ts';
import type { Operand, Recorder } from './kernel.ts';
import { HIGHEST, LOWEST } from './reduceSplits.ts';

/** What the int8 kernels do with a sum: out = clamp(sum + bias + residual), as floats, as codes, or as both. */
export interface Int8Output {
  bias?: Operand<'f32'> | undefined;
  /** Added before the bounds; laid out like `out`, which must be other memory. */
  residual?: Operand<'f32'> | undefined;
  out?: Operand<'f32'> | undefined;
  /** The next layer's quantized input, made by `emptyPlanes`. */
  codes?: QuantizedPlanes | undefined;
  lo?: number | undefined;
  hi?: number | undefined;
  /** Without it, an adapter that runs on a CPU takes the kernels of GPUs. */
  processor?: Int8Processor | undefined;
  label?: string | undefined;
}

/** Images [n, channels, h, w] that come out. */
export interface OutputShape {
  n: number;
  channels: number;
  h: number;
  w: number;
}

/** The operands and arguments that the int8 convolutions share for their output. */
export function outputOf(recorder: Recorder, shape: OutputShape, output: Int8Output) {
  const { bias, residual, out, codes, lo = LOWEST, hi = HIGHEST, label } = output;
  const { n, channels, h, w } = shape;
  if (!out && !codes) throw new Error(`${label}: writes neither floats nor codes`);
  if (codes && (codes.n !== n || codes.channels !== channels || codes.h !== h || codes.w !== w)) {
    const names = [codes.n, codes.channels, codes.h, codes.w].join('×');
    throw new Error(`${label}: codes are for ${names}, not ${[n, channels, h, w].join('×')}`);
  }
  if (n * channels * h * w > 2 ** 31) throw new LimitError(`${label}: more than 2^31 results`);
  const rowWords = codes ? planesWidth(codes) : 0;
  const planeWords = codes ? planesHeight(codes) * rowWords : 0;
  // A binding that is not used; one that is read may not be one that is written.
  const nothing = !bias || !residual ? recorder.temporary('f32', 4, 'nothing to add') : undefined;
  return {
    operands: {
      bias: bias ?? nothing!,
      residual: residual ?? nothing!,
      out: out ?? recorder.temporary('f32', 4, 'no floats'),
      next: codes?.operand ?? recorder.temporary('u32', 4, 'no codes'),
    },
    args: {
      out_image: channels * h * w,
      out_channel: h * w,
      next_offset: codes ? codes.padding.top * rowWords + codes.padding.left : 0,
      next_image: Math.ceil(channels / 4) * planeWords,
      next_channel: planeWords,
      next_row: rowWords,
      oh: h,
      next_top: codes?.padding.top ?? 0,
      next_left: codes?.padding.left ?? 0,
      next_bottom: codes?.padding.bottom ?? 0,
      next_right: codes?.padding.right ?? 0,
      next_scale: codes?.scale ?? 1,
      next_low: codes?.low ?? 0,
      next_high: codes?.high ?? 0,
      next_shift: codes?.shift ?? 0,
      floats: out ? 1 : 0,
      codes: codes ? 1 : 0,
      bias: bias ? 1 : 0,
      residual: residual ? 1 : 0,
      lo,
      hi,
    },
  };
}
