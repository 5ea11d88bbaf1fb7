import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as A,
  type AttributeProto,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType as T,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { describe } from '../graph/attributes.ts';
import { InputError } from '../graph/errors.ts';
import { tensorBytes } from '../graph/tensor.ts';
import type { Attribute, DType, Graph, Node, Tensor, ValueInfo } from '../graph/types.ts';
import { validateGraph } from '../graph/validate.ts';
import { onnxTypeOf } from './dtypes.ts';
import { packNibbles } from './fourBit.ts';
import { MICROSOFT } from './packedProduct.ts';

/** Opset 21 is the first with everything that wgslim writes; IR version 10 came with it. */
export const exportOpset = 21;
const irVersion = 10n;

/** Attributes that ONNX types as float even where their value is a whole number. */
const floatAttributes = new Set(
  'alpha,beta,gamma,epsilon,momentum,lambd,bias,value_float,value_floats,scales'.split(','),
);

export interface ExportOptions {
  /** Initializers of int8 or uint8 whose elements fit in 4 bits, to be stored as INT4 or UINT4. */
  fourBit?: ReadonlySet<string>;
}

/**
 * The graph as an ONNX model of opset 21. The same graph always gives the same bytes. Our own operators (`wgslim.…`)
 * have no ONNX form and are refused: lower them first (`exportQuantized`). Operators called `com.microsoft.…` go into
 * that domain.
 */
export function exportOnnx(graph: Graph, { fourBit }: ExportOptions = {}): Uint8Array {
  const { name, inputs, outputs, nodes, initializers } = validateGraph(graph);
  const model = create(ModelProtoSchema, {
    irVersion,
    producerName: 'wgslim',
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(exportOpset) }),
      ...(nodes.some(({ op }) => op.startsWith(`${MICROSOFT}.`))
        ? [create(OperatorSetIdProtoSchema, { domain: MICROSOFT, version: 1n })]
        : []),
    ],
    graph: create(GraphProtoSchema, {
      name: name || 'graph',
      node: nodes.map(encodeNode),
      initializer: [...initializers].map(([tensorName, tensor]) =>
        fourBit?.has(tensorName) ? encodeFourBit(tensorName, tensor) : encodeTensor(tensorName, tensor),
      ),
      input: inputs.map(encodeValueInfo),
      output: outputs.map(encodeValueInfo),
    }),
  });
  return toBinary(ModelProtoSchema, model);
}

/** A tensor with its elements as raw little-endian bytes. */
export function encodeTensor(name: string, tensor: Tensor): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType: onnxTypeOf(tensor.dtype),
    dims: tensor.shape.map(BigInt),
    // A view is enough: the message is only serialised.
    rawData: tensorBytes(tensor) as Uint8Array<ArrayBuffer>,
  });
}

function encodeFourBit(name: string, { dtype, shape, data }: Tensor): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType: dtype === 'int8' ? T.INT4 : T.UINT4,
    dims: shape.map(BigInt),
    rawData: packNibbles(data as Int8Array | Uint8Array),
  });
}

function encodeValueInfo({ name, dtype, shape }: ValueInfo): ValueInfoProto {
  const dimensions = shape?.map((dim) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof dim === 'number' ? { case: 'dimValue', value: BigInt(dim) } : { case: 'dimParam', value: dim },
    }),
  );
  const tensorType = create(TypeProto_TensorSchema, {
    elemType: onnxTypeOf(dtype),
    ...(dimensions && { shape: create(TensorShapeProtoSchema, { dim: dimensions }) }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }),
  });
}

function encodeNode(node: Node) {
  const isContributed = node.op.startsWith(`${MICROSOFT}.`);
  if (node.op.includes('.') && !isContributed) {
    throw new InputError(`${describe(node)} has no ONNX form; it must be lowered before the export`);
  }
  return create(NodeProtoSchema, {
    name: node.name,
    opType: isContributed ? node.op.slice(MICROSOFT.length + 1) : node.op,
    ...(isContributed && { domain: MICROSOFT }),
    input: node.inputs,
    output: node.outputs,
    attribute: Object.entries(node.attributes).map(([name, value]) => encodeAttribute(node, name, value)),
  });
}

function encodeAttribute(node: Node, name: string, value: Attribute): AttributeProto {
  const encoder = new TextEncoder();
  const text = (string: string): Uint8Array<ArrayBuffer> => encoder.encode(string) as Uint8Array<ArrayBuffer>;
  if ((node.op === 'Cast' && name === 'to') || name === 'output_dtype') {
    return create(AttributeProtoSchema, { name, type: A.INT, i: BigInt(onnxTypeOf(value as DType)) });
  }
  if (typeof value === 'string') return create(AttributeProtoSchema, { name, type: A.STRING, s: text(value) });
  if (typeof value === 'number') {
    return floatAttributes.has(name) || !Number.isInteger(value)
      ? create(AttributeProtoSchema, { name, type: A.FLOAT, f: value })
      : create(AttributeProtoSchema, { name, type: A.INT, i: BigInt(value) });
  }
  if ('dtype' in value) return create(AttributeProtoSchema, { name, type: A.TENSOR, t: encodeTensor('', value) });
  if (value.length > 0 && value.every((item) => typeof item === 'string')) {
    return create(AttributeProtoSchema, { name, type: A.STRINGS, strings: value.map(text) });
  }
  const numbers = value as readonly number[];
  return floatAttributes.has(name) || !numbers.every(Number.isInteger)
    ? create(AttributeProtoSchema, { name, type: A.FLOATS, floats: [...numbers] })
    : create(AttributeProtoSchema, { name, type: A.INTS, ints: numbers.map(BigInt) });
}
