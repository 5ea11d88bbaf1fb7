import { LimitError } from '../gpu/errors.ts';
import { finish, inSteps, type Steps } from './steps.ts';
import type { WeightMatrix } from './weightMatrix.ts';

/** How a layer's rows are grouped: `taps` = kernel rows · kernel columns, 1 for a dense layer. */
export interface Int8Shape {
  groups: number;
  taps: number;
}

/**
 * Signed codes for the kernels that multiply them with quantized activations. Offsets are in words.
 *
 * `rows`: a row's words of k are (tap, four input channels), with zeros behind the last channel; rows lie side by side,
 * for invocations that each have a row of their own. `bits` 8: word (group, word of k, row of the group), a byte per code,
 * the first channel in the lowest. `bits` 4: word (group, two words of k, row of the group), in byte i the codes of channel
 * i: the first word's in the low nibble, the second's in the high one, two's complement. So a mask leaves the second word
 * as four bytes of 16 times the codes, and a shift and a mask the first. The half that an odd number of words leaves over
 * is zero.
 * `channels`, for depthwise layers, which have few weights: word (four channels, tap), always of bytes.
 *
 * Behind them, for every row, its scale (float32) and the sum of its codes (int32), with which a kernel takes back what
 * the activations' zero point added.
 */
export interface Int8Weights extends Int8Shape {
  readonly form: 'int8';
  readonly order: 'rows' | 'channels';
  readonly bits: 8 | 4;
  readonly rows: number;
  readonly k: number;
  /** Rows of a group as laid out: a dense layer's in whole fours, which a kernel takes at a time. */
  readonly rowStride: number;
  /** Words of a group's weights. */
  readonly groupWords: number;
  /** The largest sum of a row's magnitudes. */
  readonly reach: number;
  readonly at: { readonly scales: number; readonly sums: number };
  readonly words: Uint32Array;
}

/** |activation code − its zero point| is at most this. */
const MOST = 255;
const INT32 = 2 ** 31 - 1;

/**
 * Whether the int8 kernels can run it: integer codes with one scale per row, which fit a signed byte once their zero point
 * is taken off (so all of up to seven bits), and sums that fit an int32.
 */
export function canPackInt8(matrix: WeightMatrix, shape: Int8Shape): boolean {
  return refusal(matrix, shape) === undefined;
}

/**
 * Bits that each weight takes: 4 where codes have at most so many and, less their zero point, lie in −8..7; undefined
 * where the int8 kernels cannot run it.
 */
export function int8Bits(matrix: WeightMatrix, shape: Int8Shape): 8 | 4 | undefined {
  if (!canPackInt8(matrix, shape)) return undefined;
  const { k, values } = matrix;
  if (values.kind !== 'int' || values.bits > 4 || isDepthwise(matrix, shape)) return 8;
  // Kernels sum 16-fold weights.
  if (16 * 8 * k * MOST > INT32) return 8;
  const { low, high } = finish(measuringCodes(matrix));
  return low < -8 || high > 7 ? 8 : 4;
}

/** Codes less their zero points. */
interface CodeRange {
  low: number;
  high: number;
  /** The first that does not fit a signed byte. */
  misfit: { row: number; code: number } | undefined;
  /** The row whose sum of magnitudes is the largest, and that sum. */
  heaviest: { row: number; sum: number };
}

const ranges = new WeakMap<WeightMatrix, CodeRange>();

/** Looks at every code of a matrix with one zero point per row, or none; once, for those who choose and pack. */
export function* measuringCodes(matrix: WeightMatrix): Steps<CodeRange> {
  const known = ranges.get(matrix);
  if (known) return known;
  const { rows, k, values } = matrix;
  const range: CodeRange = { low: 0, high: 0, misfit: undefined, heaviest: { row: 0, sum: 0 } };
  if (values.kind !== 'int') return range;
  const measureRow = (row: number) => {
    const zero = values.zero?.[row] ?? 0;
    let sum = 0;
    for (let i = row * k; i < (row + 1) * k; i++) {
      const code = values.codes[i]! - zero;
      if (code < range.low) range.low = code;
      if (code > range.high) range.high = code;
      if (code < -128 || code > 127) range.misfit ??= { row, code };
      sum += Math.abs(code);
    }
    if (sum > range.heaviest.sum) range.heaviest = { row, sum };
  };
  yield* inSteps(
    rows,
    (begin, end) => {
      for (let row = begin; row < end; row++) measureRow(row);
    },
    k,
  );
  ranges.set(matrix, range);
  return range;
}

/** One input and one output channel per group. */
export function isDepthwise({ rows, k }: WeightMatrix, { groups, taps }: Int8Shape): boolean {
  return groups > 1 && rows === groups && k === taps;
}

/** Why not, as the end of a sentence; undefined where it can. */
function refusal(matrix: WeightMatrix, { groups, taps }: Int8Shape): string | undefined {
  const { rows, k, values } = matrix;
  if (values.kind !== 'int') return `take integer codes, not ${values.kind}`;
  if (k > values.group) return `take one scale per row, not one for every ${values.group} of its ${k} weights`;
  if (rows % groups !== 0 || k % taps !== 0) {
    return `take rows in equal groups, not ${rows} × ${k} in ${groups} groups of ${taps} taps`;
  }
  const { misfit, heaviest } = finish(measuringCodes(matrix));
  if (misfit) return `take weights from -128 to 127, not ${misfit.code} in row ${misfit.row}`;
  if (heaviest.sum * MOST > INT32) return `sum in 32 bits, which ${k} weights of row ${heaviest.row} may exceed`;
  return undefined;
}

/** Lays a matrix out for the GPU. Refuses what `canPackInt8` does not allow. */
export function packInt8(matrix: WeightMatrix, shape: Int8Shape): Int8Weights {
  return finish(packingInt8(matrix, shape));
}

export function* packingInt8(matrix: WeightMatrix, shape: Int8Shape): Steps<Int8Weights> {
  yield* measuringCodes(matrix);
  const reason = refusal(matrix, shape);
  if (reason !== undefined || matrix.values.kind !== 'int') {
    throw new LimitError(`The int8 kernels ${reason}: use a kernel for packed weights and float activations`);
  }
  const { rows, k, values } = matrix;
  const { groups, taps } = shape;
  const groupRows = rows / groups;
  const groupIn = k / taps;
  const order = isDepthwise(matrix, shape) ? 'channels' : 'rows';
  const bits = int8Bits(matrix, shape)!;
  const rowWords = Math.ceil((wordsOfRow(groupIn, shape) * bits) / 8);
  const rowStride = groups === 1 && taps === 1 ? 4 * Math.ceil(groupRows / 4) : groupRows;
  const groupWords = order === 'channels' ? 0 : rowWords * rowStride;
  // A depthwise kernel reads scales and sums of four channels at a time.
  const padded = 4 * Math.ceil(rows / 4);
  const scales = order === 'channels' ? Math.ceil(rows / 4) * taps : groups * groupWords;
  const at = { scales, sums: scales + padded };
  const words = new Uint32Array(at.sums + padded);
  const bytes = new Int8Array(words.buffer);
  const floats = new Float32Array(words.buffer, 4 * at.scales, rows);
  const sums = new Int32Array(words.buffer, 4 * at.sums, rows);
  const channelWords = Math.ceil(groupIn / 4);
  let reach = 0;
  const packRow = (row: number) => {
    const zero = values.zero?.[row] ?? 0;
    let magnitudes = 0;
    const group = Math.floor(row / groupRows);
    const first = group * groupWords + (row - group * groupRows);
    for (let i = 0; i < k; i++) {
      const code = values.codes[row * k + i]! - zero;
      const channel = Math.floor(i / taps);
      const tap = i - channel * taps;
      if (order === 'channels') bytes[4 * ((row >> 2) * taps + tap) + (row & 3)] = code;
      else {
        const word = tap * channelWords + (channel >> 2);
        if (bits === 8) bytes[4 * (first + word * rowStride) + (channel & 3)] = code;
        else bytes[4 * (first + (word >> 1) * rowStride) + (channel & 3)]! |= (code & 15) << (4 * (word & 1));
      }
      sums[row]! += code;
      magnitudes += Math.abs(code);
    }
    reach = Math.max(reach, magnitudes);
    floats[row] = values.scale[row] ?? 0;
  };
  yield* inSteps(
    rows,
    (begin, end) => {
      for (let row = begin; row < end; row++) packRow(row);
    },
    k,
  );
  return { form: 'int8', order, bits, rows, k, groups, taps, rowStride, groupWords, reach, at, words };
}

/** Words of k: a dense layer's in whole fours, which a kernel takes at a time. */
function wordsOfRow(groupIn: number, { groups, taps }: Int8Shape): number {
  const words = taps * Math.ceil(groupIn / 4);
  return groups === 1 && taps === 1 ? 4 * Math.ceil(words / 4) : words;
}
