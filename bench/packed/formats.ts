import { packDense } from '../../src/kernels/denseWeights.ts';
import { numberToFloat16 } from '../../src/kernels/float16.ts';
import type { Int8Quantizer } from '../../src/kernels/int8Planes.ts';
import { packInt8 } from '../../src/kernels/int8Weights.ts';
import { NORMAL_FLOAT_4 } from '../../src/kernels/normalFloat4.ts';
import type { PackedWeights } from '../../src/kernels/packedLayer.ts';
import { packBlocks } from '../../src/kernels/sparseBlocks.ts';
import { packNM } from '../../src/kernels/sparseNM.ts';
import { packRows } from '../../src/kernels/sparseRows.ts';
import type { WeightMatrix } from '../../src/kernels/weightMatrix.ts';
import { randomFloats } from '../data.ts';
import type { BenchLayer } from './layers.ts';

export interface PackedFormat {
  name: string;
  matrix: WeightMatrix;
  weights: PackedWeights;
  /** Activations are quantized by it. */
  quantizer?: Int8Quantizer;
}

/** Every form in which the layer's weights may lie. */
export function packedFormats({ rows, k, shape }: BenchLayer): PackedFormat[] {
  const random = randomFloats(rows * k, 3);
  const scales = (count: number) => randomFloats(count, 7).map((value) => 0.01 * (1.5 + value));
  const int = (bits: number, group = k, keep: (i: number) => boolean = () => true): WeightMatrix => {
    const most = 2 ** (bits - 1) - 1;
    const codes = Int16Array.from(random, (value, i) => {
      if (!keep(i)) return 0;
      return bits === 1 ? -Number(value < 0) : Math.round(value * most) || 1;
    });
    const scale = scales(rows * Math.ceil(k / group));
    return { rows, k, values: { kind: 'int', bits, codes, scale, halfScale: false, group } };
  };
  const float = (keep: (i: number) => boolean): WeightMatrix => {
    return { rows, k, values: { kind: 'f32', data: random.map((value, i) => (keep(i) ? value : 0)) } };
  };
  const dense = (name: string, matrix: WeightMatrix): PackedFormat => ({ name, matrix, weights: packDense(matrix) });
  const table: WeightMatrix = {
    rows,
    k,
    values: {
      kind: 'table',
      bits: 4,
      table: NORMAL_FLOAT_4,
      codes: Int16Array.from(random, (value) => Math.min(15, Math.floor(8 * (value + 1)))),
      scale: scales((rows * k) / 64),
      halfScale: false,
      group: 64,
    },
  };
  const half: WeightMatrix = { rows, k, values: { kind: 'f16', data: Uint16Array.from(random, numberToFloat16) } };
  // Seeded draws, so that a pattern is the same in every run.
  const draws = randomFloats(rows * k, 11);
  // Draws are uniform in −1..1.
  const tenth = (i: number) => draws[i]! > 0.8;
  const hundredth = (i: number) => draws[i]! > 0.98;
  const twoOfFour = (i: number) => {
    const four = [0, 1, 2, 3].map((j) => draws[i - (i % 4) + j]!);
    return four.filter((other) => other > draws[i]!).length < 2;
  };
  const block = (i: number) => draws[Math.floor(Math.floor(i / k) / 16) * k + Math.floor((i % k) / 16)]! > 0.5;
  const signed = { scale: 1 / 127, low: -128, high: 127 };
  const taps = 'm' in shape ? 1 : shape.kh * shape.kw;
  const [int8, int4] = [int(8), int(4)];
  return [
    dense('float16', half),
    ...[8, 6, 5, 4, 3, 2, 1].map((bits) => dense(`${bits} bits`, int(bits))),
    dense('4 bits, groups of 32', int(4, 32)),
    dense('codebook of 16, groups of 64', table),
    { name: 'int8 × int8', matrix: int8, weights: packInt8(int8, { groups: 1, taps }), quantizer: signed },
    { name: 'int4 × int8', matrix: int4, weights: packInt8(int4, { groups: 1, taps }), quantizer: signed },
    ...(
      [
        ['rows, 90 % zeros', float(tenth), packRows],
        ['rows, 90 % zeros, 4 bits', int(4, k, tenth), packRows],
        ['rows, 99 % zeros', float(hundredth), packRows],
        ['2:4', float(twoOfFour), (matrix: WeightMatrix) => packNM(matrix, 2, 4)],
        ['2:4, 4 bits', int(4, k, twoOfFour), (matrix: WeightMatrix) => packNM(matrix, 2, 4)],
        ['blocks 16×16, 75 % zeros', float(block), (matrix: WeightMatrix) => packBlocks(matrix, 16, 16)],
        ['blocks 16×16, 75 % zeros, 8 bits', int(8, k, block), (matrix: WeightMatrix) => packBlocks(matrix, 16, 16)],
      ] as const
    ).map(([name, matrix, pack]): PackedFormat => ({ name, matrix, weights: pack(matrix) })),
  ];
}
