import { InputError } from '../graph/errors.ts';
import { numel, typedArrayFromBytes } from '../graph/tensor.ts';
import type { Tensor } from '../graph/types.ts';
import { float16ToFloat32 } from '../kernels/float16.ts';
import { unpackBits } from './bits.ts';
import { type EncodedTensor, scaleIndexer } from './encodedTensor.ts';
import { decodeBitmap, decodeGaps } from './sparse.ts';

/** Flat positions of the stored values, ascending; undefined for a dense tensor. Checks the index stream. */
export function storedIndices(tensor: EncodedTensor, where: string): Uint32Array | undefined {
  if (tensor.layout === 'dense') return undefined;
  const count = numel(tensor.shape);
  const positions =
    tensor.layout === 'bitmap'
      ? decodeBitmap(tensor.index, count, tensor.stored)
      : decodeGaps(tensor.index, tensor.gapBits, tensor.gapSymbols, count, tensor.stored);
  if (!positions) {
    throw new InputError(`${where}: its ${tensor.layout} does not place ${tensor.stored} of ${count} elements.`);
  }
  return positions;
}

/** Codes q of the stored values: signed without zero points, unsigned with them, and of a table. `int` and `table`. */
export function storedCodes(tensor: EncodedTensor): Int16Array {
  const codes = new Int16Array(unpackBits(tensor.values, tensor.bits, tensor.stored));
  if (tensor.zeroPoint || tensor.table) return codes;
  const signBit = 1 << (tensor.bits - 1);
  for (let i = 0; i < codes.length; i++) codes[i] = (codes[i]! ^ signBit) - signBit;
  return codes;
}

/** The tensor that an encoded one stands for; `where` (file and tensor) opens the message of an error. */
export function unpackTensor(tensor: EncodedTensor, where: string): Tensor {
  const { shape, dtype, kind, values } = tensor;
  if (kind === 'raw' || kind === 'inline')
    return { dtype, shape, data: typedArrayFromBytes(dtype, values, tensor.stored) };
  const positions = storedIndices(tensor, where);
  const stored = tensor.scale ? dequantize(tensor, positions) : storedFloats(tensor);
  if (!positions) return { dtype, shape, data: stored };
  const data = new Float32Array(numel(shape));
  for (let i = 0; i < positions.length; i++) data[positions[i]!] = stored[i]!;
  return { dtype, shape, data };
}

function storedFloats({ kind, values, stored }: EncodedTensor): Float32Array {
  if (kind === 'f16') return float16ToFloat32(typedArrayFromBytes('float16', values, stored) as Uint16Array);
  return typedArrayFromBytes('float32', values, stored) as Float32Array;
}

/** fl32(scale·(q − zeroPoint)) of every stored value, or fl32(scale·table[q]). */
function dequantize(tensor: EncodedTensor, positions: Uint32Array | undefined): Float32Array {
  const scaleOf = scaleIndexer(tensor.shape, tensor);
  const codes = storedCodes(tensor);
  const data = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    const group = scaleOf(positions ? positions[i]! : i);
    const level = tensor.table ? tensor.table[codes[i]!]! : codes[i]! - (tensor.zeroPoint?.[group] ?? 0);
    data[i] = tensor.scale![group]! * level;
  }
  return data;
}
