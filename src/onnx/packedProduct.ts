/**
 * MatMulNBits of onnxruntime's own operator domain: Y = A·Bᵀ + bias with B [N, K] of 4 or 8 bits, a scale for each block
 * of consecutive elements of a row. https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
import { type QuantizedWeight, scaleIndexOf } from './quantizedWeight.ts';

export const MICROSOFT = 'com.microsoft';
export const MATMUL_NBITS = `${MICROSOFT}.MatMulNBits`;

export const BLOCKS = [16, 32, 64, 128, 256] as const;

/** A weight [N, K] as MatMulNBits takes it. */
export interface PackedProduct {
  n: number;
  k: number;
  bits: 4 | 8;
  block: number;
  /** [N, ⌈K/block⌉, block·bits/8]: 4-bit elements two a byte, the first in the low half; unsigned. */
  codes: Uint8Array;
  /** [N·⌈K/block⌉] */
  scales: Float32Array;
  /** [N·⌈⌈K/block⌉·bits/8⌉], packed like the codes; 2^(bits−1) where absent. */
  zeroPoints?: Uint8Array | undefined;
}

/** Bits in which codes are packed. */
export function packedBits({ bits }: QuantizedWeight): 4 | 8 {
  return bits <= 4 ? 4 : 8;
}

/**
 * The block for a weight [N, K] with `groupSize` elements to a scale; where that is undefined (one scale for a row or
 * more), the one that takes the fewest bytes, of equal ones the largest. Undefined where no block fits the groups.
 */
export function packedBlock(k: number, bits: 4 | 8, groupSize: number | undefined): number | undefined {
  if (groupSize !== undefined) return BLOCKS.findLast((block) => groupSize % block === 0);
  const bytes = (block: number) => Math.ceil(k / block) * ((block * bits) / 8 + 4);
  return BLOCKS.reduce<number>((best, block) => (bytes(block) <= bytes(best) ? block : best), BLOCKS[0]);
}

/** @param transposed the weight is [K, N], as MatMul has it; its scales must not go by groups then */
export function packProduct(weight: QuantizedWeight, block: number, transposed: boolean): PackedProduct {
  const [rows, columns] = weight.shape as [number, number];
  const [n, k] = transposed ? [columns, rows] : [rows, columns];
  const bits = packedBits(weight);
  const blocks = Math.ceil(k / block);
  const scaleOf = scaleIndexOf(weight);
  const at = (row: number, i: number) => (transposed ? i * n + row : row * k + i);
  const half = 2 ** (bits - 1);
  const { zeroPoint } = weight;
  // Past the end of a row stands what counts as zero.
  const codes = new Uint8Array(n * blocks * block).fill(zeroPoint ? 0 : half);
  const scales = new Float32Array(n * blocks);
  const zeros = zeroPoint && new Uint8Array(n * blocks);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < k; i++) {
      codes[row * blocks * block + i] = weight.codes[at(row, i)]! + (zeroPoint ? 0 : half);
    }
    for (let b = 0; b < blocks; b++) {
      const scale = scaleOf(at(row, b * block));
      scales[row * blocks + b] = weight.scale[scale]!;
      if (zeros) zeros[row * blocks + b] = zeroPoint[scale]!;
    }
  }
  return {
    n,
    k,
    bits,
    block,
    codes: bits === 4 ? packRows(codes, block) : codes,
    scales,
    zeroPoints: zeros && (bits === 4 ? packRows(zeros, blocks) : zeros),
  };
}

/** The weight [N, K] in groups of a block. */
export function unpackProduct({ n, k, bits, block, codes, scales, zeroPoints }: PackedProduct): QuantizedWeight {
  const blocks = Math.ceil(k / block);
  const all = bits === 4 ? unpackRows(codes, block) : codes;
  const half = 2 ** (bits - 1);
  const values = zeroPoints ? new Uint8Array(n * k) : new Int8Array(n * k);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < k; i++) values[row * k + i] = all[row * blocks * block + i]! - (zeroPoints ? 0 : half);
  }
  return {
    shape: [n, k],
    bits,
    codes: values,
    scale: scales,
    zeroPoint: zeroPoints && (bits === 4 ? unpackRows(zeroPoints, blocks) : zeroPoints),
    groupSize: block,
  };
}

/** Pairs within rows of `length` elements; a row of odd length ends with half a byte. */
function packRows(values: Uint8Array, length: number): Uint8Array {
  const bytes = Math.ceil(length / 2);
  const packed = new Uint8Array((values.length / length) * bytes);
  for (let i = 0; i < values.length; i++) {
    const column = i % length;
    packed[Math.floor(i / length) * bytes + (column >> 1)]! |= values[i]! << (4 * (column & 1));
  }
  return packed;
}

function unpackRows(packed: Uint8Array, length: number): Uint8Array {
  const bytes = Math.ceil(length / 2);
  const values = new Uint8Array((packed.length / bytes) * length);
  for (let i = 0; i < values.length; i++) {
    const column = i % length;
    values[i] = (packed[Math.floor(i / length) * bytes + (column >> 1)]! >> (4 * (column & 1))) & 15;
  }
  return values;
}
