import { describe } from '../graph/attributes.ts';
import { InputError } from '../graph/errors.ts';
import { floatTensor, rowMajorStrides } from '../graph/tensor.ts';
import type { Node, Tensor } from '../graph/types.ts';
import { levelsOfType } from './lowerQuantizers.ts';
import { type Quantization, quantizationOf, type Spread, spreadOf, typeOfTensor } from './quantization.ts';
import { dequantize, type IntegerType, type QuantizedWeight } from './quantizedWeight.ts';
import { placeBefore, type Raising } from './raising.ts';

/** Integers that are known, and the initializer they come from. */
interface Codes {
  anchor: string;
  type: IntegerType | 'int32';
  shape: readonly number[];
  values: ArrayLike<number>;
}

/**
 * Computes each DequantizeLinear of constant integers (also of constants that a QuantizeLinear makes integers): its
 * output becomes a float32 initializer in the place of the integers, and where scales lie as `QuantizedWeight` has
 * them, the integers are kept in `weights`.
 */
export function raiseWeights(raising: Raising): void {
  const { initializers, fourBit, weights, spent } = raising;
  const quantized = new Map<string, Codes>();
  const anchors = new Map<string, [string, Tensor][]>();
  raising.nodes = raising.nodes.filter((node) => {
    const [input = ''] = node.inputs;
    const output = node.outputs[0] ?? '';
    if (node.op === 'QuantizeLinear' && initializers.get(input)?.dtype === 'float32') {
      const quantization = quantizationOf(node, initializers, fourBit);
      if (!quantization) return true;
      quantized.set(output, quantizeConstant(node, input, initializers.get(input)!, quantization));
    } else if (node.op === 'DequantizeLinear') {
      const codes = quantized.get(input) ?? codesOf(input, initializers.get(input), fourBit);
      const quantization = codes && quantizationOf(node, initializers, fourBit, codes.type);
      if (!quantization) return true;
      const spread = spreadOf(node, codes.shape, quantization);
      const weight = asWeight(codes, quantization, spread);
      if (weight) weights.set(output, weight);
      const data = weight ? dequantize(weight) : dequantizeAny(codes, quantization, spread);
      const placed = anchors.get(codes.anchor) ?? [];
      anchors.set(codes.anchor, [...placed, [output, floatTensor(codes.shape, data)]]);
      for (const name of [codes.anchor, ...node.inputs]) if (initializers.has(name)) spent.add(name);
    } else {
      return true;
    }
    // The quantizer of a constant stays where something else reads its integers.
    return node.op === 'QuantizeLinear' && !onlyDequantized(raising, output);
  });
  placeBefore(raising, anchors);
}

function onlyDequantized({ nodes, outputs }: Raising, name: string): boolean {
  return !outputs.has(name) && nodes.every(({ op, inputs }) => op === 'DequantizeLinear' || !inputs.includes(name));
}

function codesOf(name: string, tensor: Tensor | undefined, fourBit: ReadonlySet<string>): Codes | undefined {
  const type = tensor && typeOfTensor(name, tensor, fourBit);
  return type && { anchor: name, type, shape: tensor.shape, values: tensor.data as Int8Array };
}

/** saturate(round(x/scale) + zeroPoint), halves to even. */
function quantizeConstant(node: Node, anchor: string, tensor: Tensor, quantization: Quantization): Codes {
  const { type, scale, zeroPoint } = quantization;
  if (type === 'int32') throw new InputError(`${describe(node)} quantizes to int32, which is not supported`);
  const scaleOf = indexer(tensor.shape, spreadOf(node, tensor.shape, quantization), quantization);
  const { low, high } = levelsOfType(type);
  const values = Float64Array.from(tensor.data as Float32Array, (value, i) => {
    const s = scaleOf(i);
    const level = roundHalfEven(Math.fround(value / scale[s]!)) + (zeroPoint?.[s] ?? 0);
    return Math.min(Math.max(level, low), high);
  });
  return { anchor, type, shape: tensor.shape, values };
}

/** Undefined for wider types than 8 bits and for blocks along another axis than the last. */
function asWeight(
  codes: Codes,
  { scale, zeroPoint, blockSize }: Quantization,
  spread: Spread,
): QuantizedWeight | undefined {
  const { type, shape, values } = codes;
  const bits = type.endsWith('int4') ? 4 : 8;
  if (type !== 'int4' && type !== 'uint4' && type !== 'int8' && type !== 'uint8') return undefined;
  if (spread.kind === 'block' && spread.axis !== shape.length - 1) return undefined;
  const grouping = {
    ...(spread.kind === 'axis' && { axis: spread.axis }),
    ...(spread.kind === 'block' && { groupSize: blockSize }),
  };
  const isSigned = !type.startsWith('u');
  if (isSigned && !zeroPoint) return { shape, bits, codes: values, scale, ...grouping };
  // Codes with zero points are unsigned in our form: both move up by half the range.
  const offset = isSigned ? 2 ** (bits - 1) : 0;
  return {
    shape,
    bits,
    codes: Uint8Array.from(values, (code) => code + offset),
    scale,
    zeroPoint: Array.from(scale, (_, s) => (zeroPoint?.[s] ?? 0) + offset),
    ...grouping,
  };
}

function dequantizeAny(codes: Codes, quantization: Quantization, spread: Spread): Float32Array {
  const { scale, zeroPoint } = quantization;
  const scaleOf = indexer(codes.shape, spread, quantization);
  return Float32Array.from(codes.values, (code, i) => {
    const s = scaleOf(i);
    return Math.fround(scale[s]! * Math.fround(code - (zeroPoint?.[s] ?? 0)));
  });
}

/** Function from a flat element index to the index of its scale. */
function indexer(shape: readonly number[], spread: Spread, { scaleShape, blockSize }: Quantization) {
  if (spread.kind === 'tensor') return () => 0;
  const { axis } = spread;
  const inner = rowMajorStrides(shape)[axis]!;
  const length = shape[axis]!;
  if (spread.kind === 'axis') return (i: number) => Math.floor(i / inner) % length;
  const blocks = scaleShape[axis]!;
  return (i: number) => {
    const block = Math.floor((Math.floor(i / inner) % length) / blockSize);
    return (Math.floor(i / (inner * length)) * blocks + block) * inner + (i % inner);
  };
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
