import { LimitError } from '../gpu/errors.ts';
import type { ConvShape } from './convShape.ts';
import { type QuantizerLevels, quantizerStep } from './fakeQuantize.ts';
import { quantizePlaneRowsShader, quantizePlanesShader, quantizeRowsShader } from './generated/int8.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';
import type { PlanePadding } from './padPlanes.ts';
import { spread } from './spread.ts';

/** A quantizer of activations: one step for the whole tensor, code = clamp(round(x / scale), low, high). */
export interface Int8Quantizer extends QuantizerLevels {
  scale: number;
}

/** What is stored of a code: the code minus `shift`, a signed byte. */
export interface StoredCodes extends Int8Quantizer {
  readonly shift: number;
}

/**
 * Quantized activations with a border of zeros around every plane: [n][ceil(channels / 4)][top + h + bottom][left + w +
 * right] words, each of four neighbouring channels, the first in the lowest byte. What follows the last channel is zero.
 * The layout does not depend on who reads it: any convolution may whose padding is no wider than the border.
 */
export interface QuantizedPlanes extends StoredCodes {
  readonly operand: Operand<'u32'>;
  readonly n: number;
  readonly channels: number;
  readonly h: number;
  readonly w: number;
  readonly padding: PlanePadding;
}

/** Quantized rows: [m][rowWords] words of four neighbours. What follows the last one is zero. */
export interface QuantizedRows extends StoredCodes {
  readonly operand: Operand<'u32'>;
  readonly m: number;
  readonly k: number;
  readonly rowWords: number;
}

const WG = 64;

/** Whether the codes fit a signed byte, shifted by 128 where need be, and have one for zero. */
export function canQuantizeInt8({ low, high }: QuantizerLevels): boolean {
  return low <= 0 && high >= 0 && ((low >= -128 && high <= 127) || (low === 0 && high <= 255));
}

export function storedCodes({ scale, low, high }: Int8Quantizer): StoredCodes {
  if (!canQuantizeInt8({ low, high })) {
    throw new LimitError(`Codes from ${low} to ${high} do not fit a byte: the int8 kernels take at most 8 bits`);
  }
  return { scale: quantizerStep(scale, false), low, high, shift: high > 127 ? 128 : 0 };
}

export function planesHeight({ h, padding }: QuantizedPlanes): number {
  return padding.top + h + padding.bottom;
}

export function planesWidth({ w, padding }: QuantizedPlanes): number {
  return padding.left + w + padding.right;
}

/** Planes for the input of a convolution, without contents. */
function planesFor(
  recorder: Recorder,
  shape: ConvShape,
  quantizer: Int8Quantizer,
  operand: Operand<'u32'> | undefined,
  label: string,
): QuantizedPlanes {
  const { n, ic, ih, iw } = shape;
  const padding = {
    top: Math.max(0, shape.padTop),
    left: Math.max(0, shape.padLeft),
    bottom: Math.max(0, shape.padBottom),
    right: Math.max(0, shape.padRight),
  };
  const planes = { n, channels: ic, h: ih, w: iw, padding, ...storedCodes(quantizer) };
  const words = planeWords(shape);
  if (operand && operand.elements < words) throw new Error(`${label}: ${operand.elements} words for ${words}`);
  return { ...planes, operand: operand ?? recorder.temporary('u32', Math.max(1, words), label) };
}

/** Words of the planes that a convolution reads. */
export function planeWords({ n, ic, ih, iw, padTop, padLeft, padBottom, padRight }: ConvShape): number {
  const h = Math.max(0, padTop) + ih + Math.max(0, padBottom);
  const w = Math.max(0, padLeft) + iw + Math.max(0, padRight);
  return n * Math.ceil(ic / 4) * h * w;
}

/** Quantizes x [n, ic, ih, iw], the input of a convolution of this shape, and pads it. */
export function quantizePlanes(
  recorder: Recorder,
  {
    x,
    shape,
    operand,
    label = 'quantize',
    ...quantizer
  }: Int8Quantizer & { x: Operand<'f32'>; shape: ConvShape; operand?: Operand<'u32'>; label?: string },
): QuantizedPlanes {
  const planes = planesFor(recorder, shape, quantizer, operand, label);
  const { n, channels, h, w, padding, scale, low, high, shift } = planes;
  const outH = planesHeight(planes);
  const outW = planesWidth(planes);
  const words = Math.ceil(channels / 4);
  const rows = n * words * outH;
  if (rows * outW === 0) return planes;
  const args = {
    ...{ channels, words, h, w, out_h: outH, out_w: outW, top: padding.top, left: padding.left },
    ...{ scale, low, high, shift },
  };
  const operands = { x, out: planes.operand };
  if (recorder.capabilities.kind === 'cpu') {
    const lanes = w % 4 === 0 ? 4 : 1;
    const { wg, span, workgroups } = spread(recorder.capabilities, rows);
    recorder.dispatch(quantizePlaneRowsShader, {
      operands,
      args: { ...args, n: rows, span, w: w / lanes },
      tunables: { WG: wg, T: lanes === 4 ? 'vec4f' : 'f32', LANES: lanes },
      workgroups,
      label,
    });
  } else {
    const size = rows * outW;
    recorder.dispatch(quantizePlanesShader, {
      operands,
      args: { ...args, size },
      tunables: { WG },
      workgroups: grid(size, WG),
      label,
    });
  }
  return planes;
}

/** Planes that a convolution writes as its result, border and all (`codes` of `int8Conv`), for the next of this shape. */
export function emptyPlanes(
  recorder: Recorder,
  {
    shape,
    operand,
    label = 'codes',
    ...quantizer
  }: Int8Quantizer & { shape: ConvShape; operand?: Operand<'u32'>; label?: string },
): QuantizedPlanes {
  return planesFor(recorder, shape, quantizer, operand, label);
}

/** Quantizes x [m, k], the input of a dense layer. Its rows take whole fours of words, which kernels load at once. */
export function quantizeRows(
  recorder: Recorder,
  {
    x,
    m,
    k,
    operand,
    label = 'quantize',
    ...quantizer
  }: Int8Quantizer & { x: Operand<'f32'>; m: number; k: number; operand?: Operand<'u32'>; label?: string },
): QuantizedRows {
  const stored = storedCodes(quantizer);
  const { scale, low, high, shift } = stored;
  const words = 4 * Math.ceil(k / 16);
  const n = m * words;
  const out = operand ?? recorder.temporary('u32', Math.max(1, n), label);
  if (n > 0) {
    const whole = k % 16 === 0;
    const { wg, span, workgroups } = spread(recorder.capabilities, n);
    recorder.dispatch(quantizeRowsShader, {
      operands: { x, out },
      args: { n, span, k, words, scale, low, high, shift },
      tunables: { WG: wg, T: whole ? 'vec4f' : 'f32', WHOLE: whole },
      workgroups,
      label,
    });
  }
  return { ...stored, operand: out, m, k, rowWords: words };
}
