import type { Layout, WeightEncoding } from '../../src/format/encodedTensor.ts';
import { floatTensor, int64Tensor } from '../../src/graph/tensor.ts';
import type { Tensor } from '../../src/graph/types.ts';
import { graphOf, randomSource } from './models.ts';

const LAYOUTS: Layout[] = ['dense', 'bitmap', 'gap'];
const WEIGHT_SHAPE = [6, 2, 7];
const GROUPINGS = [{}, { axis: 0 }, { axis: 1 }, { axis: 2 }, { groupSize: 3 }, { groupSize: 100 }];

/** Number of scales, counted plainly. */
function scalesOf({ axis, groupSize }: { axis?: number; groupSize?: number }, shape: number[]): number {
  if (axis !== undefined) return shape[axis]!;
  if (groupSize === undefined) return 1;
  return shape.slice(0, -1).reduce((a, b) => a * b, 1) * Math.ceil(shape.at(-1)! / groupSize);
}

/** Index of the scale of the element at these coordinates, by definition. */
function scaleAt({ axis, groupSize }: { axis?: number; groupSize?: number }, shape: number[], i: number): number {
  const coordinates = shape.map((_, d) => Math.floor(i / shape.slice(d + 1).reduce((a, b) => a * b, 1)) % shape[d]!);
  if (axis !== undefined) return coordinates[axis]!;
  if (groupSize === undefined) return 0;
  const groups = Math.ceil(shape.at(-1)! / groupSize);
  const row = coordinates.slice(0, -1).reduce((at, coordinate, d) => at * shape[d]! + coordinate, 0);
  return row * groups + Math.floor(coordinates.at(-1)! / groupSize);
}

/** Random weights on the grid of the encoding that is returned with them. */
export function integerCase(
  shape: number[],
  bits: number,
  grouping: { axis?: number; groupSize?: number },
  options: { layout: Layout; zeroPoints: boolean; halfScales: boolean; sparsity: number; random: () => number },
): { tensor: Tensor; encoding: WeightEncoding & { kind: 'int' } } {
  const { layout, zeroPoints, halfScales, sparsity, random } = options;
  const count = scalesOf(grouping, shape);
  const scale = Float32Array.from({ length: count }, () =>
    halfScales ? (1 + Math.floor(random() * 64)) / 256 : random() + 0.001,
  );
  const zeroPoint = Int32Array.from({ length: count }, () => Math.floor(random() * 2 ** bits));
  const lowest = zeroPoints ? 0 : -(2 ** (bits - 1));
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => {
    if (random() < sparsity) return 0;
    const group = scaleAt(grouping, shape, i);
    const code = lowest + Math.floor(random() * 2 ** bits);
    const level = code - (zeroPoints ? zeroPoint[group]! : 0);
    return level === 0 ? 0 : Math.fround(scale[group]! * level);
  });
  const encoding = { kind: 'int' as const, bits, scale, ...(zeroPoints && { zeroPoint }), ...grouping, layout };
  return { tensor: floatTensor(shape, values), encoding };
}

/** Random weights of a table, which has a zero, and the encoding. */
function tableCase(
  shape: number[],
  bits: number,
  grouping: { axis?: number; groupSize?: number },
  { layout, half, random }: { layout: Layout; half: boolean; random: () => number },
): { tensor: Tensor; encoding: WeightEncoding } {
  const draw = () => (half ? (Math.floor(random() * 512) - 256) / 256 : random() - 0.5);
  const table = Float32Array.from({ length: 2 ** bits }, (_, i) => (i === 1 ? 0 : draw()));
  const scale = Float32Array.from({ length: scalesOf(grouping, shape) }, () => random() + 0.001);
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => {
    const code = random() < 0.6 ? 1 : Math.floor(random() * 2 ** bits);
    return Math.fround(scale[scaleAt(grouping, shape, i)]! * table[code]!);
  });
  return { tensor: floatTensor(shape, values), encoding: { kind: 'table', bits, table, scale, ...grouping, layout } };
}

/**
 * A model with every encoding, layout, width and granularity, and every kind of attribute.
 * @param tables false: without the encodings that the first writer did not have
 */
export function everyEncoding({ tables = true } = {}) {
  const random = randomSource(11);
  const initializers: Record<string, Tensor> = {};
  const encodings = new Map<string, WeightEncoding>();
  for (const layout of LAYOUTS) {
    for (let bits = 1; bits <= 8; bits++) {
      const grouping = GROUPINGS[(bits + LAYOUTS.indexOf(layout)) % GROUPINGS.length]!;
      const options = { layout, zeroPoints: bits % 3 === 0, halfScales: bits % 2 === 0, sparsity: 0.7, random };
      const { tensor, encoding } = integerCase(WEIGHT_SHAPE, bits, grouping, options);
      initializers[`block.int${bits}.${layout}`] = tensor;
      encodings.set(`block.int${bits}.${layout}`, encoding);
    }
    for (const bits of tables ? [1, 4, 5] : []) {
      const grouping = GROUPINGS[(bits + LAYOUTS.indexOf(layout)) % GROUPINGS.length]!;
      const { tensor, encoding } = tableCase(WEIGHT_SHAPE, bits, grouping, { layout, half: bits === 4, random });
      initializers[`block.table${bits}.${layout}`] = tensor;
      encodings.set(`block.table${bits}.${layout}`, encoding);
    }
    for (const kind of ['f32', 'f16'] as const) {
      const values = Array.from({ length: 21 }, () => (random() < 0.6 ? 0 : random() - 0.5));
      initializers[`block.${kind}.${layout}`] = floatTensor([3, 7], values);
      encodings.set(`block.${kind}.${layout}`, { kind, layout });
    }
  }
  initializers.shape = int64Tensor([-1, 400, 2 ** 40]);
  initializers.huge = { dtype: 'int64', shape: [1], data: BigInt64Array.of(2n ** 63n - 1n) };
  initializers.scalar = floatTensor([], [2.5]);
  initializers.empty = floatTensor([0, 3], []);
  initializers.flags = { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) };
  initializers.large = {
    dtype: 'int32',
    shape: [300],
    data: Int32Array.from({ length: 300 }, (_, i) => i * 77777 - 1e7),
  };
  initializers.wide = { dtype: 'float64', shape: [2], data: Float64Array.of(Math.PI, -1e300) };
  initializers['7'] = floatTensor(
    [300],
    Array.from({ length: 300 }, () => random()),
  );
  initializers['wgslim.pool'] = floatTensor(
    [300],
    Array.from({ length: 300 }, () => random()),
  );
  initializers.__metadata__ = floatTensor([2], [1, 2]);
  const graph = graphOf(initializers);
  return {
    graph,
    encodings,
    meta: { classNames: ['é', '猫'], originalBytes: 12345, note: { nested: [1, null, true] } },
  };
}
