import { float16ToFloat32, float16ToNumber } from '../kernels/float16.ts';
import { InputError } from './errors.ts';
import type { DType, Tensor, TensorData } from './types.ts';

/** Bytes that one element takes in memory and in a file. */
export const bytesPerElement: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  float64: 8,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
};

/** Number of elements of a shape (1 for a scalar). A count that a double cannot hold exactly is refused. */
export function numel(shape: readonly number[]): number {
  let count = 1;
  let zero = false;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 0) {
      throw new InputError(`shape [${shape.join(', ')}] has the dimension ${dim}, which is no length`);
    }
    // A zero anywhere empties the tensor, but must not hide that the other dimensions overflow.
    if (dim === 0) zero = true;
    else count *= dim;
    if (count > Number.MAX_SAFE_INTEGER) {
      throw new InputError(`shape [${shape.join(', ')}] holds more elements than can be counted exactly (2^53)`);
    }
  }
  return zero ? 0 : count;
}

/** Row-major strides, in elements. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

export function allocate(dtype: DType, length: number): TensorData {
  switch (dtype) {
    case 'float32':
      return new Float32Array(length);
    case 'float64':
      return new Float64Array(length);
    case 'int8':
      return new Int8Array(length);
    case 'int16':
      return new Int16Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'uint32':
      return new Uint32Array(length);
    case 'int64':
      return new BigInt64Array(length);
    case 'uint64':
      return new BigUint64Array(length);
    case 'uint8':
    case 'bool':
      return new Uint8Array(length);
    case 'uint16':
    case 'float16':
      return new Uint16Array(length);
  }
}

/** Reads `length` little-endian elements out of `bytes` (a copy: the source may be unaligned or shared). */
export function typedArrayFromBytes(dtype: DType, bytes: Uint8Array, length: number): TensorData {
  const data = allocate(dtype, length);
  new Uint8Array(data.buffer).set(bytes.subarray(0, data.byteLength));
  return data;
}

export function tensorBytes(tensor: Tensor): Uint8Array {
  return new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
}

export function floatTensor(shape: readonly number[], values: Float32Array | readonly number[]): Tensor {
  const data = values instanceof Float32Array ? values : Float32Array.from(values);
  return { dtype: 'float32', shape: [...shape], data };
}

/** A 1-D int64 tensor, the form in which ONNX passes axes, pads and shapes. */
export function int64Tensor(values: readonly number[]): Tensor {
  return { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, (value) => BigInt(value)) };
}

export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'float64';
}

export function isBigInt(data: TensorData): data is BigInt64Array | BigUint64Array {
  return data instanceof BigInt64Array || data instanceof BigUint64Array;
}

/** Element values as a Float32Array, whatever the type; float32 data is returned as it is, not copied. */
export function toFloat32(tensor: Tensor): Float32Array {
  const { dtype, data } = tensor;
  if (data instanceof Float32Array) return data;
  if (dtype === 'float16') return float16ToFloat32(data as Uint16Array);
  if (isBigInt(data)) return Float32Array.from(data, Number);
  return Float32Array.from(data);
}

/** float16 and float64 become float32, the one float type that graphs compute in; other tensors stay as they are. */
export function widenToFloat32(tensor: Tensor): Tensor {
  if (tensor.dtype !== 'float16' && tensor.dtype !== 'float64') return tensor;
  return { dtype: 'float32', shape: tensor.shape, data: toFloat32(tensor) };
}

/** An int64 as a number, clamped to the exact integers: models write INT64_MAX for "to the end". */
export function clampToSafeInteger(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

/** Values of a small tensor (a shape, axes, pads) as numbers; 64-bit integers are clamped to the exact ones. */
export function toNumbers(tensor: Tensor): number[] {
  const { dtype, data } = tensor;
  if (isBigInt(data)) return Array.from(data, (value) => clampToSafeInteger(value));
  if (dtype === 'float16') return Array.from(data as Uint16Array, float16ToNumber);
  return Array.from(data);
}
