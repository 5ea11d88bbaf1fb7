import { describe, intAttribute } from '../graph/attributes.ts';
import { InputError } from '../graph/errors.ts';
import { toNumbers } from '../graph/tensor.ts';
import type { Node, Tensor } from '../graph/types.ts';
import type { IntegerType } from './quantizedWeight.ts';

/** Integers with their scales, as QuantizeLinear makes them and DequantizeLinear reads them. */
export interface Quantization {
  /** Of the integers; int32 occurs for biases. */
  type: IntegerType | 'int32';
  scale: Float32Array;
  /** One per scale; undefined where all are 0. */
  zeroPoint?: number[] | undefined;
  /** Dimensions of scale and zero point as they are stored. */
  scaleShape: readonly number[];
  /** As the node says or by default; may be negative. */
  axis: number;
  /** 0: none. */
  blockSize: number;
}

/**
 * Scale and zero point of a QuantizeLinear or DequantizeLinear, undefined where they are not constants.
 * @param integers of a DequantizeLinear, where they are known
 */
export function quantizationOf(
  node: Node,
  initializers: ReadonlyMap<string, Tensor>,
  fourBit: ReadonlySet<string>,
  integers?: IntegerType | 'int32',
): Quantization | undefined {
  const [, scaleName = '', zeroName = ''] = node.inputs;
  const scale = initializers.get(scaleName);
  const zero = initializers.get(zeroName);
  if (!scale || (zeroName !== '' && !zero)) return undefined;
  if (scale.dtype !== 'float32') {
    throw new InputError(`${describe(node)} has scales of ${scale.dtype}, which is not supported`);
  }
  const type = zero ? typeOfTensor(zeroName, zero, fourBit) : (integers ?? typeByAttribute(node));
  if (!type || (integers && type !== integers)) {
    throw new InputError(
      `${describe(node)} has a zero point of ${zero?.dtype ?? 'a type'} that is not supported there`,
    );
  }
  if (zero && zero.data.length !== scale.data.length) {
    throw new InputError(
      `${describe(node)} has ${scale.data.length} scales and ${zero.data.length} zero points; their shapes must be the same`,
    );
  }
  const zeroPoint = zero && toNumbers(zero);
  return {
    type,
    scale: scale.data as Float32Array,
    zeroPoint: zeroPoint?.some((value) => value !== 0) ? zeroPoint : undefined,
    scaleShape: scale.shape,
    axis: intAttribute(node, 'axis', 1),
    blockSize: intAttribute(node, 'block_size', 0),
  };
}

/** Undefined where the elements are no integers that can be quantized codes. */
export function typeOfTensor(
  name: string,
  { dtype }: Tensor,
  fourBit: ReadonlySet<string>,
): IntegerType | 'int32' | undefined {
  switch (dtype) {
    case 'int8':
      return fourBit.has(name) ? 'int4' : 'int8';
    case 'uint8':
      return fourBit.has(name) ? 'uint4' : 'uint8';
    case 'int16':
    case 'uint16':
    case 'int32':
      return dtype;
    default:
      return undefined;
  }
}

/** Without a zero point, `output_dtype` (by its ONNX number) says the type of the integers, else it is uint8. */
function typeByAttribute(node: Node): IntegerType | undefined {
  const types: Readonly<Record<number, IntegerType>> = {
    0: 'uint8',
    2: 'uint8',
    3: 'int8',
    4: 'uint16',
    5: 'int16',
    21: 'uint4',
    22: 'int4',
  };
  return types[intAttribute(node, 'output_dtype', 0)];
}

/** How scales lie over a tensor of `shape`: one for all, per index of an axis, or per block along an axis. */
export type Spread = { kind: 'tensor' } | { kind: 'axis'; axis: number } | { kind: 'block'; axis: number };

/** @throws InputError where the scales do not fit the shape */
export function spreadOf(node: Node, shape: readonly number[], quantization: Quantization): Spread {
  const { scale, scaleShape, blockSize } = quantization;
  const axis = quantization.axis < 0 ? quantization.axis + shape.length : quantization.axis;
  const refuse = (): never => {
    throw new InputError(
      `${describe(node)} has scales [${scaleShape.join(', ')}] that do not fit a tensor [${shape.join(', ')}] along axis ${quantization.axis}`,
    );
  };
  if (blockSize !== 0) {
    if (blockSize < 0 || axis < 0 || axis >= shape.length) refuse();
    const expected = shape.map((length, at) => (at === axis ? Math.ceil(length / blockSize) : length));
    if (expected.length !== scaleShape.length || expected.some((length, at) => length !== scaleShape[at])) refuse();
    return { kind: 'block', axis };
  }
  if (scaleShape.length === 1 && axis >= 0 && scale.length === shape[axis]) return { kind: 'axis', axis };
  if (scale.length !== 1 || scaleShape.length > 1) refuse();
  return { kind: 'tensor' };
}
