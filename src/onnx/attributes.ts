import { AttributeProto_AttributeType as A, type AttributeProto, type NodeProto } from 'onnx-buf';
import { InputError } from '../graph/errors.ts';
import { clampToSafeInteger, widenToFloat32 } from '../graph/tensor.ts';
import type { Attribute } from '../graph/types.ts';
import type { ReadExternal } from './external.ts';
import { decodeTensor } from './tensorProto.ts';

const decoder = new TextDecoder();

/** Attributes by name. 64-bit integers beyond the exact ones are clamped: models write INT64_MAX for "to the end". */
export function decodeAttributes(
  node: NodeProto,
  what: string,
  readExternal: ReadExternal | undefined,
): Record<string, Attribute> {
  const result: Record<string, Attribute> = {};
  for (const attribute of node.attribute) {
    // Hints of opset 1..5 that exporters kept writing.
    if (attribute.name === 'consumed_inputs') continue;
    if (attribute.name === '' || attribute.name === '__proto__' || Object.hasOwn(result, attribute.name)) {
      throw new InputError(`${what} has the attribute '${attribute.name}' without a name or twice`);
    }
    result[attribute.name] = decodeAttribute(attribute, what, readExternal);
  }
  return result;
}

function decodeAttribute(attribute: AttributeProto, what: string, readExternal: ReadExternal | undefined): Attribute {
  if (attribute.refAttrName !== '') {
    throw new InputError(`${what} refers to the function attribute '${attribute.refAttrName}', which is not supported`);
  }
  const type = attribute.type === A.UNDEFINED ? guessType(attribute) : attribute.type;
  switch (type) {
    case A.FLOAT:
      return attribute.f;
    case A.INT:
      return clampToSafeInteger(attribute.i);
    case A.STRING:
      return decoder.decode(attribute.s);
    case A.FLOATS:
      return attribute.floats;
    case A.INTS:
      return attribute.ints.map(clampToSafeInteger);
    case A.STRINGS:
      return attribute.strings.map((text) => decoder.decode(text));
    case A.TENSOR:
      if (attribute.t) return widenToFloat32(decodeTensor(attribute.t, readExternal));
      break;
    case A.GRAPH:
    case A.GRAPHS:
      throw new InputError(`${what} holds a subgraph in '${attribute.name}'; control flow is not supported`);
  }
  throw new InputError(
    `${what} has the attribute '${attribute.name}' of type ${A[type] ?? type}, which is not supported`,
  );
}

/** Files of the first IR versions do not say which field of an attribute is meant. */
function guessType(attribute: AttributeProto): A {
  if (attribute.t) return A.TENSOR;
  if (attribute.g) return A.GRAPH;
  if (attribute.ints.length > 0) return A.INTS;
  if (attribute.floats.length > 0) return A.FLOATS;
  if (attribute.strings.length > 0) return A.STRINGS;
  if (attribute.s.length > 0) return A.STRING;
  return attribute.f !== 0 ? A.FLOAT : A.INT;
}
