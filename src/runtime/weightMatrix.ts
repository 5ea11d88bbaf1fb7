import type { LayerUse } from '../engine/packing.ts';
import { fillingCodes } from '../format/denseCodes.ts';
import { type EncodedTensor, scaleIndexer } from '../format/encodedTensor.ts';
import { readingElements } from '../format/unpackTensor.ts';
import type { Tensor } from '../graph/types.ts';
import { float16ToNumber, float32ToFloat16, numberToFloat16 } from '../kernels/float16.ts';
import { inSteps, type Steps } from '../kernels/steps.ts';
import type { WeightMatrix, WeightValues } from '../kernels/weightMatrix.ts';

/**
 * A tensor of the file as the matrix that its layers multiply, in the numbers that the file has. Undefined where its
 * scales run across the rows, which no kernel takes.
 * @param decoded the same tensor as float32
 */
export function* makingMatrix(encoded: EncodedTensor, decoded: Tensor, use: LayerUse): Steps<WeightMatrix | undefined> {
  const { rows, k } = use;
  const { kind, layout, bits } = encoded;
  const { table } = encoded;
  // Kernels need an index for every element, so also for those that a sparse layout leaves out.
  if (kind === 'int' || (table && (layout === 'dense' || table.includes(0)))) {
    const scales = rowScales(encoded, use);
    const codes = yield* arranging(yield* fillingCodes(encoded), use);
    return scales && { rows, k, values: { kind, bits, codes, ...(table && { table }), ...scales } as WeightValues };
  }
  if (kind !== 'f16')
    return { rows, k, values: { kind: 'f32', data: yield* arranging(decoded.data as Float32Array, use) } };
  // A sparse layout has its values without the zeros between them.
  const data =
    layout === 'dense'
      ? ((yield* readingElements('float16', encoded.values, encoded.stored)) as Uint16Array)
      : yield* halving(decoded.data as Float32Array);
  return { rows, k, values: { kind: 'f16', data: yield* arranging(data, use) } };
}

/** Row-major [rows][k], whichever way the file has it. */
function* arranging<T extends Float32Array | Uint16Array | Int16Array>(
  values: T,
  { rows, k, order }: LayerUse,
): Steps<T> {
  if (order === 'rows') return values;
  // Of zeros: unlike a copy that is to be overwritten, it takes no time.
  const out = new (values.constructor as new (length: number) => T)(values.length);
  yield* inSteps(
    k,
    (begin, end) => {
      for (let i = begin; i < end; i++) for (let row = 0; row < rows; row++) out[row * k + i] = values[i * rows + row]!;
    },
    rows,
  );
  return out;
}

function* halving(values: Float32Array): Steps<Uint16Array> {
  const halves = new Uint16Array(values.length);
  yield* inSteps(values.length, (begin, end) => halves.set(float32ToFloat16(values.subarray(begin, end)), begin));
  return halves;
}

/** Scales and zero points row by row, and how many terms share one. */
function rowScales(encoded: EncodedTensor, use: LayerUse) {
  const { rows, k, order } = use;
  const { zeroPoint } = encoded;
  const source = encoded.scale as Float32Array;
  const group = termsPerScale(encoded, use);
  if (group === undefined) return undefined;
  const scaleOf = scaleIndexer(encoded.shape, encoded);
  const groups = Math.ceil(k / group);
  const at = (i: number) => {
    const [row, term] = [Math.floor(i / groups), (i % groups) * group];
    return scaleOf(order === 'rows' ? row * k + term : term * rows + row);
  };
  const scale = Float32Array.from({ length: rows * groups }, (_, i) => source[at(i)]!);
  return {
    scale,
    // A scale is a binary16 value already where the file stores it as one.
    halfScale: source.every((value) => float16ToNumber(numberToFloat16(value)) === value),
    group,
    ...(zeroPoint && { zero: Int32Array.from({ length: rows * groups }, (_, i) => zeroPoint[at(i)]!) }),
  };
}

function termsPerScale({ shape, axis, groupSize }: EncodedTensor, { k, order }: LayerUse): number | undefined {
  if (axis === undefined && groupSize === undefined) return Math.max(1, k);
  if (axis !== undefined) {
    const isRowAxis = axis === (order === 'rows' ? 0 : 1);
    return isRowAxis || shape[axis] === 1 ? Math.max(1, k) : undefined;
  }
  // Groups run along the last dimension: the terms of a row, or in a convolution the columns of its kernel.
  const last = shape.at(-1) ?? 1;
  const group = Math.min(groupSize as number, last);
  return order === 'rows' && (last === k || last % group === 0) ? Math.max(1, group) : undefined;
}
