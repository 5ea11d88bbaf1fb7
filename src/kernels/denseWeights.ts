import { float32ToFloat16 } from './float16.ts';
import { asWords, type Operand } from './kernel.ts';
import type { PackedOperand } from './packedOperand.ts';
import { copying, finish, inSteps, type Steps } from './steps.ts';
import { groupsPerRow, type WeightMatrix } from './weightMatrix.ts';

/**
 * Weights of which every element is stored, in the layout of shaders/common/weights.wgsl: the kernels of float32 weights
 * read them too, unpacking them in registers. Offsets are in words.
 */
export interface DenseWeights {
  readonly form: 'dense';
  readonly rows: number;
  readonly k: number;
  /** Bits of an element: 32 and 16 are floats, 1 to 8 codes. */
  readonly bits: number;
  readonly table: boolean;
  readonly zeros: boolean;
  readonly halfScales: boolean;
  /** Terms of a row that share a scale. */
  readonly group: number;
  readonly at: {
    readonly codes: number;
    readonly pairs: number;
    readonly bits: number;
    readonly scales: number;
    readonly zeros: number;
    readonly table: number;
  };
  readonly words: Uint32Array;
}

/** Up to so many columns, a product is bound by the memory of its weights; above, tiles of a matrix product are full enough. */
export const FEW_COLUMNS = 8;

/** Terms that share a scale come in eights, because a kernel takes eight of them at a time. */
const GROUP_STEP = 8;

export function canPackDense({ k, values }: WeightMatrix): boolean {
  return !('group' in values) || values.group >= k || values.group % GROUP_STEP === 0;
}

/** Lays a matrix out for the GPU. Takes as many bits as the codes have; rows are rounded up to whole words. */
export function packDense(matrix: WeightMatrix): DenseWeights {
  return finish(packingDense(matrix));
}

export function* packingDense(matrix: WeightMatrix): Steps<DenseWeights> {
  const { rows, k, values } = matrix;
  const writer = new WordWriter();
  const at = { codes: 0, pairs: 0, bits: 0, scales: 0, zeros: 0, table: 0 };
  const common = { form: 'dense', rows, k, at, table: false, zeros: false, halfScales: false, group: k } as const;
  if (values.kind === 'f32') {
    writer.append(new Uint32Array(values.data.buffer, values.data.byteOffset, values.data.length));
    return { ...common, bits: 32, words: yield* writer.finishing() };
  }
  if (values.kind === 'f16') {
    writer.append(yield* makingPlane(matrix, values.data, { width: 16, shift: 0, middle: 0 }));
    return { ...common, bits: 16, words: yield* writer.finishing() };
  }
  // Signed codes are moved up, so that the middle one stands for zero.
  const middle = values.kind === 'table' || values.zero ? 0 : 1 << (values.bits - 1);
  const { bits } = values;
  const planes = bits === 8 ? [8] : [4, 2, 1].filter((width) => (bits & width) !== 0);
  let shift = 0;
  for (const width of planes) {
    const offset = writer.append(yield* makingPlane(matrix, values.codes, { width, shift, middle }));
    if (width >= 4) at.codes = offset;
    else if (width === 2) at.pairs = offset;
    else at.bits = offset;
    shift += width;
  }
  at.scales = writer.append(
    values.halfScale
      ? pack(float32ToFloat16(acrossRows(matrix, values.scale, values.group)), 16)
      : floatBits(acrossRows(matrix, values.scale, values.group)),
  );
  const zero = values.kind === 'int' ? values.zero : undefined;
  if (zero) at.zeros = writer.append(pack(acrossRows(matrix, zero, values.group), 8));
  if (values.kind === 'table') at.table = writer.append(floatBits(values.table));
  return {
    ...common,
    bits,
    table: values.kind === 'table',
    zeros: zero !== undefined,
    halfScales: values.halfScale,
    group: Math.min(values.group, k),
    words: yield* writer.finishing(),
  };
}

/**
 * Bits `shift` to `shift + width − 1` of every element plus `middle`, words of neighbouring rows next to one another: [k
 * words][rows].
 */
function* makingPlane(
  { rows, k }: WeightMatrix,
  elements: ArrayLike<number>,
  { width, shift, middle }: { width: number; shift: number; middle: number },
): Steps<Uint32Array> {
  const perWord = 32 / width;
  const mask = 2 ** width - 1;
  const rowWords = Math.ceil(k / perWord);
  const words = new Uint32Array(rowWords * rows);
  yield* inSteps(
    rows,
    (begin, end) => {
      for (let row = begin; row < end; row++) {
        for (let word = 0; word < rowWords; word++) {
          let bits = 0;
          const first = word * perWord;
          for (let i = Math.min(perWord, k - first) - 1; i >= 0; i--) {
            bits = (bits << width) | (((elements[row * k + first + i]! + middle) >>> shift) & mask);
          }
          words[word * rows + row] = bits;
        }
      }
    },
    k,
  );
  return words;
}

/** From row by row to group by group: [groups][rows]. */
function acrossRows<T extends Float32Array | Int32Array>(matrix: WeightMatrix, values: T, group: number): T {
  const groups = groupsPerRow(matrix, group);
  if (groups === 1) return values;
  const { rows } = matrix;
  const out = values.slice() as T;
  for (let row = 0; row < rows; row++) {
    for (let g = 0; g < groups; g++) out[g * rows + row] = values[row * groups + g]!;
  }
  return out;
}

/** Elements of `width` bits one after another. */
function pack(elements: ArrayLike<number>, width: number): Uint32Array {
  const perWord = 32 / width;
  const words = new Uint32Array(Math.ceil(elements.length / perWord));
  for (let i = 0; i < elements.length; i++) {
    words[Math.floor(i / perWord)]! |= (elements[i]! & (2 ** width - 1)) << ((i % perWord) * width);
  }
  return words;
}

const floatBits = (values: Float32Array) => new Uint32Array(values.slice().buffer);

class WordWriter {
  readonly #parts: Uint32Array[] = [];
  #length = 0;

  /** Returns the word at which the part begins. */
  append(part: Uint32Array): number {
    const offset = this.#length;
    this.#parts.push(part);
    this.#length += part.length;
    return offset;
  }

  *finishing(): Steps<Uint32Array> {
    const words = new Uint32Array(this.#length);
    let offset = 0;
    for (const part of this.#parts) {
      yield* copying(part, words.subarray(offset));
      offset += part.length;
    }
    return words;
  }
}

/** What a shader that imports common/weights.wgsl needs to read these weights, plain float32 ones included. */
export function bindWeights(
  weights: Operand<'f32'> | PackedOperand<DenseWeights>,
  { rows, k, offset = 0 }: { rows: number; k: number; offset?: number | undefined },
) {
  if (!('form' in weights)) {
    const places = { w_codes: offset, w_pairs: 0, w_bits: 0, w_scales: 0, w_zeros: 0, w_table: 0 };
    return {
      operand: asWords(weights),
      args: { w_rows: rows, ...places, w_group: Math.max(1, k) },
      tunables: { BITS: 32 },
    };
  }
  const { at, bits, table, zeros, halfScales, group } = weights;
  if (weights.rows !== rows || weights.k !== k) {
    throw new Error(`Packed weights are ${weights.rows} × ${weights.k}, but the layer's are ${rows} × ${k}`);
  }
  return {
    operand: weights.operand,
    args: {
      w_rows: rows,
      w_codes: at.codes,
      w_pairs: at.pairs,
      w_bits: at.bits,
      w_scales: at.scales,
      w_zeros: at.zeros,
      w_table: at.table,
      w_group: Math.max(1, group),
    },
    tunables: { BITS: bits, TABLE: table, ZEROS: zeros, HALF_SCALES: halfScales, GROUPED: group < k },
  };
}
