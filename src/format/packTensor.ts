import { InputError } from '../graph/errors.ts';
import { numel } from '../graph/tensor.ts';
import type { Tensor } from '../graph/types.ts';
import { float32ToFloat16 } from '../kernels/float16.ts';
import { packBits } from './bits.ts';
import { bytesOf } from './bytes.ts';
import {
  type EncodedTensor,
  type Layout,
  scaleCount,
  scaleIndexer,
  streamBytes,
  type WeightEncoding,
} from './encodedTensor.ts';
import { scaleBytes } from './scaleSection.ts';
import { bestGapBits, encodeBitmap, encodeGaps, storedPositions } from './sparse.ts';

/** What a sparse layout adds to the JSON of a tensor, about: `"n":1234,"k":4,"m":1234` with its quotes escaped. */
const SPARSE_JSON_BYTES = 30;
/** Integer tensors (shapes, axes) up to this many elements stand in the JSON. */
const MAX_INLINE = 32;

/** Stores a float32 tensor as asked, in the layout that takes the fewest bytes. */
export function packTensor(name: string, tensor: Tensor, request: WeightEncoding): EncodedTensor {
  const data = tensor.data;
  if (tensor.dtype !== 'float32' || !(data instanceof Float32Array)) {
    throw new Error(`Initializer ${name} is ${tensor.dtype}: only float32 can be stored as ${request.kind}.`);
  }
  if (data.length !== numel(tensor.shape)) {
    throw new Error(`Initializer ${name} has ${data.length} elements, but its shape is [${tensor.shape}].`);
  }
  if (request.kind === 'int') return packIntegers(name, tensor.shape, data, request);
  if (request.kind === 'table') return packIndices(name, tensor.shape, data, request);
  const half = request.kind === 'f16' ? checkedHalves(name, data) : undefined;
  // Zero is +0 or −0 (a mask makes −0 of a negative weight); a sparse layout gives both back as +0.
  const positions = storedPositions(data.length, half ? (i) => (half[i]! & 0x7fff) !== 0 : (i) => data[i] !== 0);
  const elements = half ?? data;
  return place(name, tensor.shape, request, half ? 16 : 32, positions, (at) =>
    bytesOf(at ? gather(elements, at) : elements),
  );
}

/** Stores a tensor that is not to be compressed as it is: small integer ones in the JSON, others in the payload. */
export function keepTensor(name: string, tensor: Tensor): EncodedTensor {
  const inline = !tensor.dtype.startsWith('float') && tensor.data.length <= MAX_INLINE;
  const values = bytesOf(tensor.data);
  return {
    name,
    shape: tensor.shape,
    dtype: tensor.dtype,
    kind: inline ? 'inline' : 'raw',
    layout: 'dense',
    bits: tensor.data.BYTES_PER_ELEMENT * 8,
    stored: tensor.data.length,
    gapBits: 0,
    gapSymbols: 0,
    index: new Uint8Array(0),
    values,
    bytes: inline ? 0 : values.length,
  };
}

function packIntegers(
  name: string,
  shape: readonly number[],
  data: Float32Array,
  request: WeightEncoding & { kind: 'int' },
): EncodedTensor {
  checkIntegerRequest(name, shape, request);
  const { bits, scale, zeroPoint } = request;
  const [lowest, highest] = zeroPoint ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  const scaleOf = scaleIndexer(shape, request);
  const codes = new Int16Array(data.length);
  const isZero = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const group = scaleOf(i);
    const step = scale[group]!;
    const level = data[i] === 0 ? 0 : Math.round(data[i]! / step);
    const code = level + (zeroPoint ? zeroPoint[group]! : 0);
    // A caller's weight is fl32(scale·level), whose error grows with the level.
    const isOnGrid = Math.abs(data[i]! - step * level) <= 1e-6 * step * Math.max(1, Math.abs(level));
    if (!(isOnGrid && code >= lowest && code <= highest)) {
      throw new Error(
        `Element ${i} of ${name} is ${data[i]}, which is not scale ${step} times one of the ${2 ** bits} levels of ` +
          `${bits} bits: round the weights to the grid before they are stored.`,
      );
    }
    codes[i] = code;
    isZero[i] = level === 0 ? 1 : 0;
  }
  const positions = storedPositions(data.length, (i) => isZero[i] === 0);
  return place(name, shape, request, bits, positions, (at) => packBits(at ? gather(codes, at) : codes, bits));
}

function packIndices(
  name: string,
  shape: readonly number[],
  data: Float32Array,
  request: WeightEncoding & { kind: 'table' },
): EncodedTensor {
  checkIntegerRequest(name, shape, request);
  const { bits, table, scale } = request;
  if (table.length !== 2 ** bits || !table.every(Number.isFinite)) {
    throw new Error(`Initializer ${name} cannot be stored as asked: its table has not ${2 ** bits} finite values.`);
  }
  const scaleOf = scaleIndexer(shape, request);
  const codes = new Int16Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const step = scale[scaleOf(i)]!;
    const distance = (entry: number) => Math.abs(Math.fround(step * entry) - data[i]!);
    const code = table.reduce((best, entry, q) => (distance(entry) < distance(table[best]!) ? q : best), 0);
    // A caller's weight is fl32(scale·entry), or what the same product rounds to elsewhere.
    if (!(distance(table[code]!) <= 1e-6 * Math.abs(data[i]!))) {
      throw new Error(
        `Element ${i} of ${name} is ${data[i]}, which is not scale ${step} times an entry of its table: round the ` +
          'weights to the table before they are stored.',
      );
    }
    codes[i] = code;
  }
  const positions = storedPositions(data.length, (i) => data[i] !== 0);
  return place(name, shape, request, bits, positions, (at) => packBits(at ? gather(codes, at) : codes, bits));
}

function checkIntegerRequest(
  name: string,
  shape: readonly number[],
  request: WeightEncoding & { kind: 'int' | 'table' },
): void {
  const { bits, scale, axis, groupSize } = request;
  const zeroPoint = request.kind === 'int' ? request.zeroPoint : undefined;
  const refuse = (reason: string): never => {
    throw new Error(`Initializer ${name} cannot be stored as asked: ${reason}.`);
  };
  if (!Number.isInteger(bits) || bits < 1 || bits > 8) refuse(`${bits} bits is not a whole number from 1 to 8`);
  if (axis !== undefined && groupSize !== undefined) refuse('both an axis and a group size are given');
  if (axis !== undefined && !(Number.isInteger(axis) && axis >= 0 && axis < shape.length)) {
    refuse(`axis ${axis} is not one of its ${shape.length} dimensions`);
  }
  if (groupSize !== undefined && !(Number.isInteger(groupSize) && groupSize >= 1 && groupSize < 2 ** 31)) {
    refuse(`${groupSize} is no group size`);
  }
  const groups = scaleCount(shape, request);
  if (scale.length !== groups) refuse(`it has ${scale.length} scales, not ${groups}`);
  if (!scale.every((step) => Number.isFinite(step) && step >= 0)) refuse('a scale is negative or not finite');
  if (!zeroPoint) return;
  if (zeroPoint.length !== groups) refuse(`it has ${zeroPoint.length} zero points, not ${groups}`);
  if (!zeroPoint.every((z) => z >= 0 && z < 2 ** bits)) refuse(`a zero point is not in 0..${2 ** bits - 1}`);
}

/** Chooses the layout; `pack` makes the value bytes of the elements at the given positions, or of all. */
function place(
  name: string,
  shape: readonly number[],
  request: WeightEncoding,
  bits: number,
  positions: Uint32Array,
  pack: (positions?: Uint32Array) => Uint8Array,
): EncodedTensor {
  const count = numel(shape);
  const gap = bestGapBits(positions, count);
  const sizes: [Layout, number][] = [
    ['dense', streamBytes('dense', count, positions.length, bits)],
    ['bitmap', streamBytes('bitmap', count, positions.length, bits) + SPARSE_JSON_BYTES],
    ['gap', streamBytes('gap', count, positions.length, bits, gap.bits, gap.symbols) + SPARSE_JSON_BYTES],
  ];
  const layout = request.layout ?? sizes.reduce((best, candidate) => (candidate[1] < best[1] ? candidate : best))[0];
  const isGap = layout === 'gap';
  const index =
    layout === 'dense'
      ? new Uint8Array(0)
      : isGap
        ? encodeGaps(positions, count, gap.bits)
        : encodeBitmap(positions, count);
  const values = layout === 'dense' ? pack() : pack(positions);
  const scaled = request.kind === 'int' || request.kind === 'table' ? request : undefined;
  const zeroPoint = request.kind === 'int' ? request.zeroPoint : undefined;
  const table = request.kind === 'table' ? request.table : undefined;
  const bytesOfTable = table ? scaleBytes(table, undefined, 0).length : 0;
  return {
    name,
    shape,
    dtype: 'float32',
    kind: request.kind,
    layout,
    bits,
    stored: layout === 'dense' ? count : positions.length,
    gapBits: isGap ? gap.bits : 0,
    gapSymbols: isGap ? gap.symbols : 0,
    ...(table && { table }),
    ...(scaled && { scale: scaled.scale }),
    ...(zeroPoint && { zeroPoint }),
    ...(scaled?.axis !== undefined && { axis: scaled.axis }),
    ...(scaled?.groupSize !== undefined && { groupSize: scaled.groupSize }),
    index,
    values,
    bytes:
      bytesOfTable + (scaled ? scaleBytes(scaled.scale, zeroPoint, bits).length : 0) + index.length + values.length,
  };
}

/** Every float32 as binary16; refuses a finite value that would become infinite. */
function checkedHalves(name: string, data: Float32Array): Uint16Array {
  const halves = float32ToFloat16(data);
  const overflow = halves.findIndex((half, i) => (half & 0x7fff) === 0x7c00 && Number.isFinite(data[i]!));
  if (overflow >= 0) {
    throw new InputError(
      `Initializer ${name} holds ${data[overflow]}, but float16 ends at 65504: keep this tensor in float32.`,
    );
  }
  return halves;
}

function gather<T extends Float32Array | Uint16Array | Int16Array>(elements: T, positions: Uint32Array): T {
  const gathered = elements.slice(0, positions.length) as T;
  for (let i = 0; i < positions.length; i++) gathered[i] = elements[positions[i]!]!;
  return gathered;
}
