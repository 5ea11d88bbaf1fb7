import { float16ToNumber, numberToFloat16 } from '../../src/kernels/float16.ts';
import { NORMAL_FLOAT_4 } from '../../src/kernels/normalFloat4.ts';
import { groupsPerRow, type WeightMatrix } from '../../src/kernels/weightMatrix.ts';
import { random, randomFloats } from './numbers.ts';

/** Weights of `rows` × `k` in one of the formats, with random content. `int5/16z`: 5 bits, groups of 16, zero points. */
export function randomWeights(format: string, rows: number, k: number, seed = 1): WeightMatrix {
  if (format === 'f32') return { rows, k, values: { kind: 'f32', data: randomFloats(seed, rows * k) } };
  if (format === 'f16') {
    return { rows, k, values: { kind: 'f16', data: Uint16Array.from(randomFloats(seed, rows * k), numberToFloat16) } };
  }
  const match = /^(int|table)(\d)(?:\/(\d+))?(z?)$/.exec(format);
  if (!match) throw new Error(`No weight format ${format}`);
  const kind = match[1] as 'int' | 'table';
  const bits = Number(match[2]);
  const group = match[3] ? Number(match[3]) : Math.max(k, 1);
  const next = random(seed);
  const levels = 2 ** bits;
  const signed = kind === 'int' && match[4] === '';
  const codes = Int16Array.from({ length: rows * k }, () => Math.floor(next(0, levels)) - (signed ? levels / 2 : 0));
  const groups = rows * groupsPerRow({ rows, k } as WeightMatrix, group);
  const half = seed % 2 === 1;
  const scale = randomFloats(seed + 7, groups, 0.01, 0.2).map((value) =>
    half ? float16ToNumber(numberToFloat16(value)) : value,
  );
  const shared = { bits, codes, scale, halfScale: half, group };
  if (kind === 'table') {
    const table = bits === 4 ? NORMAL_FLOAT_4 : randomFloats(seed + 9, levels);
    return { rows, k, values: { kind, table, ...shared } };
  }
  const zero = match[4] ? Int32Array.from({ length: groups }, () => Math.floor(next(0, levels))) : undefined;
  return { rows, k, values: { kind, ...shared, ...(zero && { zero }) } };
}
