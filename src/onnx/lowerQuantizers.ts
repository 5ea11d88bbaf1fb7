import { FAKE_QUANTIZE, quantizerSettings, quantizerSteps } from '../engine/quantizer.ts';
import { describe, intAttribute } from '../graph/attributes.ts';
import { InputError } from '../graph/errors.ts';
import { floatTensor } from '../graph/tensor.ts';
import type { Graph, Node } from '../graph/types.ts';
import { type QuantizerLevels, quantizerLevels } from '../kernels/fakeQuantize.ts';
import { addIntegers, type Lowering } from './lowering.ts';
import type { IntegerType } from './quantizedWeight.ts';

/**
 * A quantizer as a QuantizeLinear and a DequantizeLinear, the second with the quantizer's name. Both round halves to
 * even and saturate at the ends of the type; where the levels are fewer than those of the type, a Clip before them
 * saturates at s·low and s·high. Returns the element type.
 */
export function lowerQuantizer(lowering: Lowering, graph: Graph, node: Node): IntegerType {
  const [value, scaleName] = node.inputs as [string, string];
  const [output] = node.outputs as [string];
  const { signed, levels, axis } = quantizerSettings(node);
  const scale = stepsOf(lowering, graph, node);
  const type = typeOf(node, levels, signed);
  let input = value;
  if (!fills(levels, type)) {
    if (axis >= 0) {
      throw new InputError(
        `${describe(node)} has ${levels.high - levels.low + 1} levels and a scale for each channel, which ONNX cannot express`,
      );
    }
    input = addClip(lowering, node, levels, scale[0]!);
  }
  const shape = axis >= 0 ? [scale.length] : [];
  const codes = new Int8Array(scale.length);
  const zeroPoint = addIntegers(lowering, `${node.name}_zero_point`, { type, shape, codes });
  const attributes: Node['attributes'] = axis >= 0 ? { axis } : {};
  const integers = lowering.unique(`${output}_integers`);
  lowering.nodes.push({
    name: lowering.unique(`${node.name}_integers`),
    op: 'QuantizeLinear',
    inputs: [input, scaleName, zeroPoint],
    outputs: [integers],
    attributes,
  });
  lowering.nodes.push({
    name: node.name,
    op: 'DequantizeLinear',
    inputs: [integers, scaleName, zeroPoint],
    outputs: [output],
    attributes,
  });
  return type;
}

/** The steps as the kernel takes them; their initializer is brought into the shape that QuantizeLinear wants. */
function stepsOf({ initializers }: Lowering, graph: Graph, node: Node): Float32Array {
  const name = node.inputs[1]!;
  const tensor = initializers.get(name);
  const { axis, powerOfTwo } = quantizerSettings(node);
  if (tensor?.dtype !== 'float32' || (axis < 0 && tensor.data.length !== 1)) {
    throw new InputError(`${describe(node)} needs scales that are an initializer of float32, one if it has no axis`);
  }
  for (const reader of graph.nodes) {
    const asScale = reader.op === FAKE_QUANTIZE && reader.inputs[0] !== name;
    const sameSteps =
      asScale &&
      intAttribute(reader, 'axis', -1) < 0 === axis < 0 &&
      quantizerSettings(reader).powerOfTwo === powerOfTwo;
    if (reader.inputs.includes(name) && !sameSteps) {
      throw new InputError(`${describe(reader)} reads '${name}', which is the scale of ${describe(node)}`);
    }
  }
  const steps = quantizerSteps(node, tensor.data as Float32Array);
  initializers.set(name, floatTensor(axis < 0 ? [] : [steps.length], steps));
  return steps;
}

/** 4 bits where the levels are exactly those, else the narrowest of 8 and 16 that holds them. */
function typeOf(node: Node, levels: QuantizerLevels, signed: boolean): IntegerType {
  const prefix = signed ? 'int' : 'uint';
  if (fills(levels, `${prefix}4`)) return `${prefix}4`;
  for (const type of [`${prefix}8`, `${prefix}16`] as const) {
    const full = levelsOfType(type);
    if (full.low <= levels.low && levels.high <= full.high) return type;
  }
  throw new InputError(`${describe(node)} has levels from ${levels.low} to ${levels.high}; 16 bits are the most`);
}

export function levelsOfType(type: IntegerType): QuantizerLevels {
  return quantizerLevels(Number(type.replace(/^u?int/, '')), !type.startsWith('u'), false);
}

function fills({ low, high }: QuantizerLevels, type: IntegerType): boolean {
  const full = levelsOfType(type);
  return full.low === low && full.high === high;
}

/** fl32(s·level) divided by s rounds to that level again, so that what is cut off here lands on the outermost levels. */
function addClip(lowering: Lowering, node: Node, { low, high }: QuantizerLevels, step: number): string {
  const bound = (wanted: string, level: number) => {
    const name = lowering.unique(`${node.name}_${wanted}`);
    lowering.initializers.set(name, floatTensor([], [step * level]));
    return name;
  };
  const output = lowering.unique(`${node.outputs[0]}_clipped`);
  lowering.nodes.push({
    name: lowering.unique(`${node.name}_clip`),
    op: 'Clip',
    inputs: [node.inputs[0]!, bound('low', low), bound('high', high)],
    outputs: [output],
    attributes: {},
  });
  return output;
}
