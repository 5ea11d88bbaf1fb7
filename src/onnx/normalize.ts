import { describe, intAttribute, intsAttribute, numberAttribute, tensorAttribute } from '../graph/attributes.ts';
import { InputError } from '../graph/errors.ts';
import { floatTensor, int64Tensor, isFloat } from '../graph/tensor.ts';
import type { Attribute, Node, Tensor } from '../graph/types.ts';
import { dtypeOfOnnx, onnxTypeName } from './dtypes.ts';

export interface NormalizeContext {
  opset: number;
  /** Adds an initializer and returns its (unique) name. */
  addConstant: (name: string, tensor: Tensor) => string;
  /** The initializer of that name, if it is one. */
  constant: (name: string) => Tensor | undefined;
  /** Whether anything reads the value. */
  isUsed: (name: string) => boolean;
}

type Normalize = (node: Node, context: NormalizeContext) => Node;

/**
 * Moves attributes into inputs from position `first` on, as newer opsets have them; a missing attribute leaves its
 * input absent.
 */
function attributesToInputs(
  node: Node,
  context: NormalizeContext,
  first: number,
  names: readonly string[],
  toTensor: (node: Node, name: string) => Tensor | undefined,
): Node {
  const attributes = { ...node.attributes };
  const inputs = node.inputs.slice(0, first);
  for (const name of names) {
    const tensor = toTensor(node, name);
    inputs.push(tensor ? context.addConstant(`${node.name}_${name}`, tensor) : '');
    delete attributes[name];
  }
  return { ...node, inputs, attributes };
}

const integers = (node: Node, name: string): Tensor | undefined => {
  const values = intsAttribute(node, name);
  return values && int64Tensor(values);
};
const scalar = (node: Node, name: string): Tensor | undefined =>
  name in node.attributes ? floatTensor([], [numberAttribute(node, name)]) : undefined;

/** Integer attributes `names` became inputs from position `first` on in opset `since`. */
function integersBecameInputs(since: number, first: number, ...names: string[]): Normalize {
  return (node, context) => {
    return context.opset < since ? attributesToInputs(node, context, first, names, integers) : node;
  };
}

const clip: Normalize = (node, context) =>
  context.opset < 11 ? attributesToInputs(node, context, 1, ['min', 'max'], scalar) : node;

const pad: Normalize = (node, context) => {
  if (context.opset >= 11) return node;
  const padded = attributesToInputs(node, context, 1, ['pads'], integers);
  return attributesToInputs(padded, context, 2, ['value'], scalar);
};

/** Inference: a Dropout copies its input. It stays only where its mask is read. */
const dropout: Normalize = (node, context) => {
  const training = context.constant(node.inputs[2] ?? '');
  const ratio = context.constant(node.inputs[1] ?? '');
  if (training?.data[0] && ratio?.data[0] !== 0) {
    throw new InputError(`${describe(node)} was exported in training mode; export the model in evaluation mode`);
  }
  if (node.outputs[1] && context.isUsed(node.outputs[1])) {
    return context.opset < 12 ? attributesToInputs(node, context, 1, ['ratio'], scalar) : node;
  }
  return {
    ...node,
    op: 'Identity',
    inputs: node.inputs.slice(0, 1),
    outputs: node.outputs.slice(0, 1),
    attributes: {},
  };
};

const batchNormalization: Normalize = (node, context) => {
  if (intAttribute(node, 'spatial', 1) !== 1) {
    throw new InputError(`${describe(node)} has spatial = 0, which is not supported`);
  }
  const { spatial: _, ...attributes } = node.attributes;
  const outputs = [...node.outputs];
  while (outputs.length > 1 && !(outputs.at(-1) && context.isUsed(outputs.at(-1)!))) outputs.pop();
  if (outputs.length > 1 && context.opset < 14) {
    throw new InputError(`${describe(node)} was exported in training mode; export the model in evaluation mode`);
  }
  return { ...node, outputs, attributes };
};

const cast: Normalize = (node) => {
  const to = dtypeOfOnnx(intAttribute(node, 'to'));
  if (!to) {
    const name = onnxTypeName(intAttribute(node, 'to'));
    throw new InputError(`${describe(node)} casts to ${name}, which is not supported`);
  }
  return { ...node, attributes: { to: isFloat(to) ? 'float32' : to } };
};

/** Operators that are not listed are the same in every opset that is read, or have no form to bring them into. */
const normalizers: Readonly<Record<string, Normalize>> = {
  Squeeze: integersBecameInputs(13, 1, 'axes'),
  Unsqueeze: integersBecameInputs(13, 1, 'axes'),
  Slice: integersBecameInputs(10, 1, 'starts', 'ends', 'axes'),
  Split: integersBecameInputs(13, 1, 'split'),
  ReduceSum: integersBecameInputs(13, 1, 'axes'),
  ReduceMean: integersBecameInputs(18, 1, 'axes'),
  ReduceMax: integersBecameInputs(18, 1, 'axes'),
  ReduceMin: integersBecameInputs(18, 1, 'axes'),
  ReduceProd: integersBecameInputs(18, 1, 'axes'),
  ReduceL1: integersBecameInputs(18, 1, 'axes'),
  ReduceL2: integersBecameInputs(18, 1, 'axes'),
  Pad: pad,
  Clip: clip,
  Dropout: dropout,
  BatchNormalization: batchNormalization,
  Cast: cast,
};

/** The node in the newest form of its operator: what older opsets had as attributes are inputs. */
export function normalizeNode(node: Node, context: NormalizeContext): Node {
  const normalize = Object.hasOwn(normalizers, node.op) ? normalizers[node.op] : undefined;
  const result = normalize ? normalize(node, context) : node;
  // Trailing absent inputs say nothing.
  const inputs = [...result.inputs];
  while (inputs.at(-1) === '') inputs.pop();
  return { ...result, inputs };
}

/** The tensor that a Constant node stands for. */
export function constantValue(node: Node): Tensor {
  const { value_float, value_floats, value_int, value_ints } = node.attributes;
  const isNumbers = (value: Attribute | undefined): value is readonly number[] =>
    Array.isArray(value) && value.every((item) => typeof item === 'number');
  const tensor = tensorAttribute(node, 'value');
  if (tensor) return tensor;
  if (typeof value_float === 'number') return floatTensor([], [value_float]);
  if (isNumbers(value_floats)) return floatTensor([value_floats.length], value_floats);
  if (typeof value_int === 'number') return { ...int64Tensor([intAttribute(node, 'value_int')]), shape: [] };
  if (isNumbers(value_ints)) return int64Tensor(intsAttribute(node, 'value_ints')!);
  throw new InputError(`${describe(node)} has none of the values that are supported (numbers and dense tensors)`);
}
