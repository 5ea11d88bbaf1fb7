import type { Tensor } from '../graph/types.ts';

/**
 * Integers behind a float32 initializer: value = fl32(scale·(code − zeroPoint)). One scale for the tensor, one per
 * index of `axis`, or one per `groupSize` consecutive elements of the last dimension (the last group of a row may be
 * shorter; groups in row-major order). Codes of `bits` bits are signed without zero points, unsigned with them.
 */
export interface QuantizedWeight {
  readonly shape: readonly number[];
  /** 1 to 8. */
  readonly bits: number;
  /** All elements, in row-major order. */
  readonly codes: ArrayLike<number>;
  readonly scale: Float32Array;
  /** One per scale. */
  readonly zeroPoint?: ArrayLike<number> | undefined;
  readonly axis?: number | undefined;
  readonly groupSize?: number | undefined;
}

/** The ONNX element types of quantized weights and activations. */
export type IntegerType = 'int4' | 'uint4' | 'int8' | 'uint8' | 'int16' | 'uint16';

/** The narrowest ONNX type that holds the codes. */
export function integerTypeOf({ bits, zeroPoint }: QuantizedWeight): IntegerType {
  return `${zeroPoint ? 'u' : ''}int${bits <= 4 ? 4 : 8}`;
}

/** Dimensions of the scales as DequantizeLinear takes them. */
export function scaleShape({ shape, axis, groupSize }: QuantizedWeight): number[] {
  if (axis !== undefined) return [shape[axis]!];
  if (groupSize === undefined) return [];
  return [...shape.slice(0, -1), Math.ceil(shape.at(-1)! / groupSize)];
}

/** Function from a flat element index to the index of its scale. */
export function scaleIndexOf({ shape, axis, groupSize }: Omit<QuantizedWeight, 'codes'>): (i: number) => number {
  if (axis !== undefined) {
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const channels = shape[axis]!;
    return (i) => Math.floor(i / inner) % channels;
  }
  if (groupSize === undefined) return () => 0;
  const last = shape.at(-1)!;
  const groups = Math.ceil(last / groupSize);
  return (i) => Math.floor(i / last) * groups + Math.floor((i % last) / groupSize);
}

/** fl32(scale·(code − zeroPoint)) for every element. */
export function dequantize(weight: QuantizedWeight): Float32Array {
  const { codes, scale, zeroPoint } = weight;
  const scaleOf = scaleIndexOf(weight);
  // + 0: a file of ours does not tell -0 from 0.
  return Float32Array.from(codes, (code, i) => {
    const s = scaleOf(i);
    return Math.fround(scale[s]! * (code - (zeroPoint?.[s] ?? 0))) + 0;
  });
}

/** How people name what shares a scale. */
export function scaleGranularity({ axis, groupSize }: QuantizedWeight): string {
  if (axis !== undefined) return 'channel';
  return groupSize === undefined ? 'tensor' : `group of ${groupSize}`;
}

/** A host tensor of an integer type; 4-bit ones take a byte per element here. */
export function integerTensor(type: IntegerType, shape: readonly number[], codes: ArrayLike<number>): Tensor {
  switch (type) {
    case 'int4':
    case 'int8':
      return { dtype: 'int8', shape, data: Int8Array.from(codes) };
    case 'uint4':
    case 'uint8':
      return { dtype: 'uint8', shape, data: Uint8Array.from(codes) };
    case 'int16':
      return { dtype: 'int16', shape, data: Int16Array.from(codes) };
    case 'uint16':
      return { dtype: 'uint16', shape, data: Uint16Array.from(codes) };
  }
}
