import { TensorProto_DataType as T } from 'onnx-buf';
import type { DType } from '../graph/types.ts';

const fromOnnx: ReadonlyMap<number, DType> = new Map<number, DType>([
  [T.FLOAT, 'float32'],
  [T.FLOAT16, 'float16'],
  [T.DOUBLE, 'float64'],
  [T.INT8, 'int8'],
  [T.UINT8, 'uint8'],
  [T.INT16, 'int16'],
  [T.UINT16, 'uint16'],
  [T.INT32, 'int32'],
  [T.UINT32, 'uint32'],
  [T.INT64, 'int64'],
  [T.UINT64, 'uint64'],
  [T.BOOL, 'bool'],
  // Widened when its data is read.
  [T.BFLOAT16, 'float32'],
]);

/** Undefined for element types that wgslim does not know. */
export function dtypeOfOnnx(type: number): DType | undefined {
  return fromOnnx.get(type);
}

export function onnxTypeOf(dtype: DType): number {
  for (const [type, name] of fromOnnx) if (name === dtype) return type;
  throw new TypeError(`no ONNX element type for ${dtype}`);
}

/** How messages name an ONNX element type. */
export function onnxTypeName(type: number): string {
  return T[type] ?? `number ${type}`;
}
