import { fromBinary } from '@bufbuild/protobuf';
import { type GraphProto, type ModelProto, ModelProtoSchema, type NodeProto, type ValueInfoProto } from 'onnx-buf';
import { InputError } from '../graph/errors.ts';
import { removeIdentities } from '../graph/passes/identities.ts';
import { isFloat, widenToFloat32 } from '../graph/tensor.ts';
import type { Dim, Graph, Node, Tensor, ValueInfo } from '../graph/types.ts';
import { validateGraph } from '../graph/validate.ts';
import { decodeAttributes } from './attributes.ts';
import { dtypeOfOnnx, onnxTypeName } from './dtypes.ts';
import type { ReadExternal } from './external.ts';
import { constantValue, type NormalizeContext, normalizeNode } from './normalize.ts';
import { MATMUL_NBITS, MICROSOFT } from './packedProduct.ts';
import type { QuantizedWeight } from './quantizedWeight.ts';
import { raiseQuantized } from './raise.ts';
import { modernizeSoftmax } from './softmax.ts';
import { decodeTensor, isFourBit } from './tensorProto.ts';

export interface ImportOptions {
  /** Named in messages. */
  fileName: string;
  /** Reads tensors that are stored in files beside the model; without it they are refused. */
  readExternal?: ReadExternal | undefined;
  /** Newest opset that is accepted. Default 23. */
  maxOpset?: number | undefined;
}

const minOpset = 7;

/**
 * Reads an ONNX model of opset 7 to 23. Whatever its opset, the graph comes out in one form, that of the newest:
 * attributes that became inputs (axes, pads, min, …) are initializers; Constant nodes are initializers; Identity and
 * Dropout are gone; weights of float16, bfloat16 and float64 are float32; Cast names its target type by `DType`;
 * Softmax and LogSoftmax normalise one axis; quantized weights are float32 initializers and quantized activations have
 * a `wgslim.FakeQuantize` (see `raiseQuantized`). Operators are not judged here: see `refuseUnsupported`.
 */
export function importOnnx(bytes: Uint8Array, options: ImportOptions): Graph {
  return importQuantized(bytes, options).graph;
}

export interface QuantizedImport {
  graph: Graph;
  /** Integers behind float32 initializers, for those that the model has as integers. */
  weights: Map<string, QuantizedWeight>;
}

/** As `importOnnx`, with the integers of a quantized model beside the graph. */
export function importQuantized(bytes: Uint8Array, options: ImportOptions): QuantizedImport {
  try {
    return importModel(parse(bytes), options);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${options.fileName}: ${error.message}`);
    throw error;
  }
}

function parse(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw new InputError(`not a valid ONNX model (${(error as Error).message})`);
  }
}

function importModel(model: ModelProto, options: ImportOptions): QuantizedImport {
  if (!model.graph) throw new InputError('not an ONNX model: it holds no graph');
  const opset = checkOpset(model, options.maxOpset ?? 23);
  const proto = model.graph;
  if (proto.sparseInitializer.length > 0) throw new InputError('sparse initializers are not supported');
  const initializers = new Map<string, Tensor>();
  for (const tensor of proto.initializer) {
    if (tensor.name === '' || initializers.has(tensor.name)) {
      throw new InputError(`the initializer '${tensor.name}' has no name or exists twice`);
    }
    initializers.set(tensor.name, widenToFloat32(decodeTensor(tensor, options.readExternal)));
  }
  const unique = uniqueNames(proto);
  const used = new Set([...proto.node.flatMap(({ input }) => input), ...proto.output.map(({ name }) => name)]);
  const context: NormalizeContext = {
    opset,
    addConstant: (wanted, tensor) => {
      const name = unique(wanted);
      initializers.set(name, tensor);
      return name;
    },
    constant: (name) => initializers.get(name),
    isUsed: (name) => used.has(name),
  };
  const nodes: Node[] = [];
  for (const node of readNodes(proto, options.readExternal)) {
    if (node.op !== 'Constant') {
      nodes.push(node);
      continue;
    }
    const output = node.outputs[0] ?? '';
    if (initializers.has(output)) throw new InputError(`the value '${output}' is defined twice`);
    initializers.set(output, constantValue(node));
  }
  const graph = validateGraph({
    name: proto.name,
    // Up to IR version 3, initializers were listed among the inputs.
    inputs: proto.input.filter(({ name }) => !initializers.has(name)).map((info) => readValueInfo(info, 'input')),
    outputs: proto.output.map((info) => readValueInfo(info, 'output')),
    nodes: nodes.map((node) => normalizeNode(node, context)),
    initializers,
  });
  if (graph.outputs.length === 0) throw new InputError('the model has no output');
  const ranks = declaredRanks(proto);
  const modern = opset < 13 ? modernizeSoftmax(graph, ranks, unique) : graph;
  const fourBit = new Set(proto.initializer.filter(isFourBit).map(({ name }) => name));
  const { graph: raised, weights } = raiseQuantized(modern, { fourBit, declaredRanks: ranks, unique });
  return { graph: removeIdentities(raised), weights };
}

function checkOpset(model: ModelProto, newest: number): number {
  const imported = model.opsetImport.filter(({ domain }) => isStandard(domain));
  const opset = Number(imported[0]?.version ?? 0);
  if (imported.length === 0) throw new InputError('the model does not say which ONNX opset it uses');
  if (opset < minOpset || opset > newest) {
    throw new InputError(`the model uses opset ${opset}; opsets ${minOpset} to ${newest} are supported`);
  }
  return opset;
}

function isStandard(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx';
}

/** A function that makes names which occur nowhere in the model, by appending a number where needed. */
function uniqueNames(proto: GraphProto): (wanted: string) => string {
  const taken = new Set<string>();
  for (const { name } of [...proto.input, ...proto.initializer, ...proto.output]) taken.add(name);
  for (const node of proto.node) for (const name of [node.name, ...node.input, ...node.output]) taken.add(name);
  return (wanted) => {
    let name = wanted;
    for (let number = 2; taken.has(name); number++) name = `${wanted}_${number}`;
    taken.add(name);
    return name;
  };
}

/** Nodes with unique names: the model's own, or the operator and a running number where it has none (or has it twice). */
function readNodes(proto: GraphProto, readExternal: ReadExternal | undefined): Node[] {
  const names = new Set<string>();
  const given = new Set(proto.node.map(({ name }) => name));
  return proto.node.map((node, index) => {
    let name = node.name;
    for (let number = index; name === '' || names.has(name); number++) {
      const candidate = `${node.opType}_${number}`;
      if (!given.has(candidate) && !names.has(candidate)) name = candidate;
    }
    names.add(name);
    return readNode(node, name, readExternal);
  });
}

function readNode(node: NodeProto, name: string, readExternal: ReadExternal | undefined): Node {
  const what = `node '${name}' (${node.opType})`;
  const op = operatorName(node);
  if (op === undefined) {
    throw new InputError(`${what} comes from the operator domain '${node.domain}', which is not supported`);
  }
  const attributes = decodeAttributes(node, what, readExternal);
  return { name, op, inputs: [...node.input], outputs: [...node.output], attributes };
}

/** Undefined for an operator domain of which nothing is known. */
function operatorName({ domain, opType }: NodeProto): string | undefined {
  if (isStandard(domain)) return opType;
  if (domain !== MICROSOFT) return undefined;
  // From before ONNX had them for all types.
  if (opType === 'QuantizeLinear' || opType === 'DequantizeLinear') return opType;
  return `${MICROSOFT}.${opType}` === MATMUL_NBITS ? MATMUL_NBITS : undefined;
}

function readValueInfo(info: ValueInfoProto, kind: 'input' | 'output'): ValueInfo {
  const what = `the graph ${kind} '${info.name}'`;
  const type = info.type?.value;
  if (info.name === '') throw new InputError(`a graph ${kind} has no name`);
  if (type?.case && type.case !== 'tensorType') throw new InputError(`${what} is no tensor, which is not supported`);
  const elementType = type?.case === 'tensorType' ? type.value.elemType : 0;
  // An output's type follows from what computes it; exporters sometimes leave it out.
  const dtype = elementType === 0 && kind === 'output' ? 'float32' : dtypeOfOnnx(elementType);
  if (!dtype) throw new InputError(`${what} has elements of type ${onnxTypeName(elementType)}, which is not supported`);
  const shape = type?.case === 'tensorType' ? type.value.shape?.dim : undefined;
  return {
    name: info.name,
    dtype: isFloat(dtype) ? 'float32' : dtype,
    ...(shape && {
      shape: shape.map(({ value }, axis): Dim => {
        if (value.case === 'dimParam' && value.value !== '') return value.value;
        if (value.case !== 'dimValue') return `${info.name}_${axis}`;
        // Some exporters write 0 or -1 where the length is only known at run time.
        if (value.value === 0n || value.value === -1n) return `${info.name}_${axis}`;
        if (value.value < 0n || value.value > BigInt(Number.MAX_SAFE_INTEGER)) {
          throw new InputError(`${what} has the dimension ${value.value}, which is no length`);
        }
        return Number(value.value);
      }),
    }),
  };
}

function declaredRanks(proto: GraphProto): Map<string, number> {
  const ranks = new Map<string, number>();
  for (const { name, type } of [...proto.valueInfo, ...proto.input]) {
    const shape = type?.value.case === 'tensorType' ? type.value.value.shape : undefined;
    if (shape) ranks.set(name, shape.dim.length);
  }
  return ranks;
}
