import { fromBinary } from '@bufbuild/protobuf';
import { TensorProto_DataType as T, type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from 'onnx-buf';
import { InputError } from '../graph/errors.ts';
import { allocate, bytesPerElement, isBigInt, numel, typedArrayFromBytes } from '../graph/tensor.ts';
import type { DType, Tensor } from '../graph/types.ts';
import { dtypeOfOnnx, onnxTypeName } from './dtypes.ts';
import { type ReadExternal, readExternalData } from './external.ts';
import { unpackNibbles } from './fourBit.ts';

/** A tensor in a file of its own, as in the data sets of the ONNX backend tests. */
export function readTensorFile(bytes: Uint8Array): { name: string; tensor: Tensor } {
  let proto: TensorProto;
  try {
    proto = fromBinary(TensorProtoSchema, bytes);
  } catch (error) {
    throw new InputError(`not an ONNX tensor: ${(error as Error).message}`);
  }
  return { name: proto.name, tensor: decodeTensor(proto) };
}

/** Whether a tensor is stored in 4 bits an element; `decodeTensor` makes int8 or uint8 of it. */
export function isFourBit({ dataType }: TensorProto): boolean {
  return dataType === T.INT4 || dataType === T.UINT4;
}

/**
 * The tensor as it is stored, except that bfloat16 becomes float32, int4 int8 and uint4 uint8. Its size is compared with
 * the bytes that are there before anything is allocated.
 */
export function decodeTensor(proto: TensorProto, readExternal?: ReadExternal): Tensor {
  const what = `tensor '${proto.name}'`;
  if (isFourBit(proto)) return decodeFourBit(what, proto, readExternal);
  const dtype = dtypeOfOnnx(proto.dataType);
  if (!dtype)
    throw new InputError(`${what} has elements of type ${onnxTypeName(proto.dataType)}, which is not supported`);
  if (proto.segment) throw new InputError(`${what} is stored in segments, which is not supported`);
  const shape = decodeDims(what, proto.dims);
  const length = numel(shape);
  const isBfloat16 = proto.dataType === T.BFLOAT16;
  const stored: DType = isBfloat16 ? 'uint16' : dtype;
  const byteLength = length * bytesPerElement[stored];
  const fromBytes = (bytes: Uint8Array): Tensor['data'] => {
    if (bytes.length !== byteLength) {
      throw new InputError(`${what} of shape [${shape.join(', ')}] needs ${byteLength} bytes, but has ${bytes.length}`);
    }
    return typedArrayFromBytes(stored, bytes, length);
  };
  let data: Tensor['data'];
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    data = fromBytes(readExternalData(proto, byteLength, readExternal));
  } else if (proto.rawData.length > 0) {
    data = fromBytes(proto.rawData);
  } else {
    data = fromField(what, proto, shape, stored);
  }
  if (isBfloat16) data = widenBfloat16(data as Uint16Array);
  if (dtype === 'bool') for (let index = 0; index < data.length; index++) data[index] = data[index] ? 1 : 0;
  return { dtype, shape, data };
}

function decodeFourBit(what: string, proto: TensorProto, readExternal: ReadExternal | undefined): Tensor {
  if (proto.segment) throw new InputError(`${what} is stored in segments, which is not supported`);
  const shape = decodeDims(what, proto.dims);
  const count = numel(shape);
  const byteLength = Math.ceil(count / 2);
  let packed: Uint8Array;
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    packed = readExternalData(proto, byteLength, readExternal);
  } else {
    // Outside of raw bytes, every number of the field is such a byte.
    packed = proto.rawData.length > 0 ? proto.rawData : Uint8Array.from(proto.int32Data);
  }
  if (packed.length !== byteLength) {
    throw new InputError(`${what} of shape [${shape.join(', ')}] needs ${byteLength} bytes, but has ${packed.length}`);
  }
  const isSigned = proto.dataType === T.INT4;
  return { dtype: isSigned ? 'int8' : 'uint8', shape, data: unpackNibbles(packed, count, isSigned) };
}

function decodeDims(what: string, dims: readonly bigint[]): number[] {
  return dims.map((dim) => {
    if (dim < 0n || dim > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new InputError(`${what} has the dimension ${dim}, which is no length`);
    }
    return Number(dim);
  });
}

/** The repeated field of the protobuf message in which elements of a type lie when they are not raw bytes. */
function fieldOf(proto: TensorProto, dtype: DType): readonly number[] | readonly bigint[] {
  switch (dtype) {
    case 'float32':
      return proto.floatData;
    case 'float64':
      return proto.doubleData;
    case 'int64':
      return proto.int64Data;
    case 'uint32':
    case 'uint64':
      return proto.uint64Data;
    default:
      return proto.int32Data;
  }
}

function fromField(what: string, proto: TensorProto, shape: readonly number[], dtype: DType): Tensor['data'] {
  const values = fieldOf(proto, dtype);
  const length = numel(shape);
  if (values.length !== length) {
    throw new InputError(`${what} of shape [${shape.join(', ')}] needs ${length} elements, but has ${values.length}`);
  }
  const data = allocate(dtype, length);
  for (let index = 0; index < length; index++) {
    const value = values[index]!;
    if (isBigInt(data)) data[index] = BigInt(value);
    else data[index] = Number(value);
  }
  return data;
}

/** bfloat16 is the upper half of a float32. */
function widenBfloat16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let index = 0; index < bits.length; index++) words[index] = bits[index]! << 16;
  return new Float32Array(words.buffer);
}
