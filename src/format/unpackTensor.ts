import { InputError } from '../graph/errors.ts';
import { allocate, numel } from '../graph/tensor.ts';
import type { DType, Tensor, TensorData } from '../graph/types.ts';
import { float16ToFloat32 } from '../kernels/float16.ts';
import { copying, inSteps, type Steps } from '../kernels/steps.ts';
import { unpackRange } from './bits.ts';
import { type EncodedTensor, scaleIndexer } from './encodedTensor.ts';
import { decodingBitmap, decodingGaps } from './sparse.ts';

/** Flat positions of the stored values, ascending; undefined for a dense tensor. Checks the index stream. */
export function* findingIndices(tensor: EncodedTensor, where: string): Steps<Uint32Array | undefined> {
  if (tensor.layout === 'dense') return undefined;
  const count = numel(tensor.shape);
  const positions =
    tensor.layout === 'bitmap'
      ? yield* decodingBitmap(tensor.index, count, tensor.stored)
      : yield* decodingGaps(tensor.index, tensor.gapBits, tensor.gapSymbols, count, tensor.stored);
  if (!positions) {
    throw new InputError(`${where}: its ${tensor.layout} does not place ${tensor.stored} of ${count} elements.`);
  }
  return positions;
}

/** Codes q of the stored values: signed without zero points, unsigned with them, and of a table. `int` and `table`. */
export function* readingCodes(tensor: EncodedTensor): Steps<Int16Array> {
  const codes = new Int16Array(tensor.stored);
  const signBit = tensor.zeroPoint || tensor.table ? 0 : 1 << (tensor.bits - 1);
  yield* inSteps(codes.length, (begin, end) => {
    unpackRange(tensor.values, tensor.bits, codes, begin, end);
    for (let i = begin; i < end; i++) codes[i] = (codes[i]! ^ signBit) - signBit;
  });
  return codes;
}

/** The tensor that an encoded one stands for; `where` (file and tensor) opens the message of an error. */
export function* unpackingTensor(tensor: EncodedTensor, where: string): Steps<Tensor> {
  const { shape, dtype, kind, values } = tensor;
  if (kind === 'raw' || kind === 'inline')
    return { dtype, shape, data: yield* readingElements(dtype, values, tensor.stored) };
  const positions = yield* findingIndices(tensor, where);
  const stored = tensor.scale ? yield* dequantizing(tensor, positions) : yield* readingFloats(tensor);
  if (!positions) return { dtype, shape, data: stored };
  const data = new Float32Array(numel(shape));
  yield* inSteps(positions.length, (begin, end) => {
    for (let i = begin; i < end; i++) data[positions[i]!] = stored[i]!;
  });
  return { dtype, shape, data };
}

/** As `typedArrayFromBytes`. */
export function* readingElements(dtype: DType, bytes: Uint8Array, length: number): Steps<TensorData> {
  const data = allocate(dtype, length);
  yield* copying(bytes.subarray(0, data.byteLength), new Uint8Array(data.buffer));
  return data;
}

function* readingFloats({ kind, values, stored }: EncodedTensor): Steps<Float32Array> {
  if (kind !== 'f16') return (yield* readingElements('float32', values, stored)) as Float32Array;
  const halves = (yield* readingElements('float16', values, stored)) as Uint16Array;
  const data = new Float32Array(stored);
  yield* inSteps(stored, (begin, end) => data.set(float16ToFloat32(halves.subarray(begin, end)), begin));
  return data;
}

/** fl32(scale·(q − zeroPoint)) of every stored value, or fl32(scale·table[q]). */
function* dequantizing(tensor: EncodedTensor, positions: Uint32Array | undefined): Steps<Float32Array> {
  const scaleOf = scaleIndexer(tensor.shape, tensor);
  const codes = yield* readingCodes(tensor);
  const data = new Float32Array(codes.length);
  yield* inSteps(codes.length, (begin, end) => {
    for (let i = begin; i < end; i++) {
      const group = scaleOf(positions ? positions[i]! : i);
      const level = tensor.table ? tensor.table[codes[i]!]! : codes[i]! - (tensor.zeroPoint?.[group] ?? 0);
      data[i] = tensor.scale![group]! * level;
    }
  });
  return data;
}
