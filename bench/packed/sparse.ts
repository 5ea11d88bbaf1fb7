/**
 * Sparse weights against the same layers in float32 at many densities, on one adapter and in turns: what the thresholds of
 * `chooseSparse` come from. `bench/packed/run.ts` compares all packed formats at a few.
 *
 * Usage: npx tsx bench/packed/sparse.ts [--adapter auto|system|swiftshader] [--rounds N] [--filter TEXT]
 */
import { parseArgs } from 'node:util';
import { renderTable } from '../../src/cli/table.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';
import type { Plan } from '../../src/gpu/plan.ts';
import { conv, padInput } from '../../src/kernels/conv.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { matmul, matrix as view } from '../../src/kernels/matmul.ts';
import { packBlocks } from '../../src/kernels/sparseBlocks.ts';
import { chooseSparse } from '../../src/kernels/sparseChoice.ts';
import { sparseConv } from '../../src/kernels/sparseConv.ts';
import type { SparseWeights } from '../../src/kernels/sparseFormat.ts';
import { packNM } from '../../src/kernels/sparseNM.ts';
import { sparsityPattern } from '../../src/kernels/sparsePattern.ts';
import { sparseProduct } from '../../src/kernels/sparseProduct.ts';
import { packRows } from '../../src/kernels/sparseRows.ts';
import { type WeightMatrix, weightsOf } from '../../src/kernels/weightMatrix.ts';
import { randomFloats } from '../data.ts';
import { type Spread, spreadOf } from '../statistics.ts';
import { type BenchLayer, inputElements, LAYERS, outputElements, reference, worst } from './layers.ts';

export interface SparseFormat {
  name: string;
  matrix: WeightMatrix;
  weights: SparseWeights;
}

export interface SparseRow {
  layer: string;
  format: string;
  /** GPU milliseconds, of the product alone: the input is padded beforehand. */
  float32: Spread;
  sparse: Spread;
  /** float32 through sparse, pair by pair: above 1, sparse is faster. */
  ratio: Spread;
  bytes: { float32: number; sparse: number };
  /** Largest difference from the layer in float64, through its largest value. */
  error: number;
  /** What `chooseSparse` would take, and why. */
  choice: string;
}

/** The layer's weights with ever fewer of them. */
export function sparseFormats({ rows, k }: BenchLayer): SparseFormat[] {
  const random = randomFloats(rows * k, 3);
  const draws = randomFloats(rows * k, 11).map((value) => (value + 1) / 2);
  const float = (keep: (i: number) => boolean): WeightMatrix => {
    return { rows, k, values: { kind: 'f32', data: random.map((value, i) => (keep(i) ? value : 0)) } };
  };
  const rank = (i: number, m: number) => {
    let before = 0;
    for (let j = i - (i % m); j < Math.min(i - (i % m) + m, rows * k); j++) if (draws[j]! > draws[i]!) before++;
    return before;
  };
  const blockDraw = (i: number, size: number) => {
    return draws[Math.floor(Math.floor(i / k) / size) * k + Math.floor((i % k) / size)]!;
  };
  const format = (name: string, matrix: WeightMatrix, weights: (matrix: WeightMatrix) => SparseWeights) => {
    return { name, matrix, weights: weights(matrix) };
  };
  return [
    ...[50, 70, 80, 90, 95, 99].map((percent) => {
      const matrix = float((i) => draws[i]! >= percent / 100);
      return format(`rows, ${percent} % zeros`, matrix, packRows);
    }),
    ...[
      [2, 4],
      [1, 4],
      [4, 8],
    ].map(([n, m]) => {
      const matrix = float((i) => rank(i, m!) < n!);
      return format(`${n}:${m}`, matrix, () => packNM(matrix, n!, m!));
    }),
    ...[8, 16, 32].flatMap((size) =>
      [50, 75, 90].map((percent) => {
        const matrix = float((i) => blockDraw(i, size) >= percent / 100);
        return format(`blocks ${size}×${size}, ${percent} % zeros`, matrix, () => packBlocks(matrix, size, size));
      }),
    ),
  ];
}

/** Times both kernels in turns and compares the sparse one's result with float64. */
export async function measureSparse(
  gpu: Gpu,
  layer: BenchLayer,
  { name, matrix, weights }: SparseFormat,
  rounds: number,
): Promise<SparseRow> {
  const recorder = new DirectRecorder(gpu);
  const { shape, rows, k } = layer;
  const xData = randomFloats(inputElements(layer), 1);
  const wData = weightsOf(matrix);
  const x = recorder.upload('f32', xData);
  const dense = recorder.upload('f32', wData);
  const packed = { ...weights, operand: recorder.upload('u32', weights.words) };
  const plainOut = recorder.temporary('f32', outputElements(layer));
  const sparseOut = recorder.temporary('f32', outputElements(layer));
  const padded = 'm' in shape ? undefined : padInput(recorder, x, shape);
  await recorder.run();
  if ('m' in shape) {
    const { m } = shape;
    matmul(recorder, { m, n: rows, k, a: view(x, k), b: view(dense, k, true), out: view(plainOut, rows) });
  } else conv(recorder, { x, padded, weights: dense, out: plainOut, shape });
  const plain = await recorder.compile('float32');
  recorder.clear();
  if ('m' in shape) sparseProduct(recorder, { weights: packed, x, out: sparseOut, m: shape.m });
  else sparseConv(recorder, { x, padded, weights: packed, out: sparseOut, shape });
  const sparse = await recorder.compile('sparse');
  recorder.clear();
  const times: { float32: number; sparse: number }[] = [];
  for (let round = -2; round < rounds; round++) {
    const time = { float32: await milliseconds(plain), sparse: await milliseconds(sparse) };
    if (round >= 0) times.push(time);
  }
  const error = worst(await recorder.read(sparseOut), reference(xData, wData, layer));
  plain.dispose();
  sparse.dispose();
  recorder.dispose();
  const m = 'm' in shape ? shape.m : shape.n * shape.oh * shape.ow;
  const choice = chooseSparse(gpu.capabilities, { pattern: sparsityPattern(matrix), m });
  return {
    layer: layer.name,
    format: name,
    float32: spreadOf(times.map((time) => time.float32)),
    sparse: spreadOf(times.map((time) => time.sparse)),
    ratio: spreadOf(times.map((time) => time.float32 / time.sparse)),
    bytes: { float32: 4 * rows * k, sparse: 4 * weights.words.length },
    error,
    choice: `${choice.form}: ${choice.reason}`,
  };
}

async function milliseconds(plan: Plan): Promise<number> {
  const timings = await plan.replayTimed();
  if (!timings) throw new Error('This adapter has no timestamps, by which the layers are timed');
  return timings.reduce((sum, { microseconds }) => sum + microseconds, 0) / 1000;
}

export function renderSparse(rows: readonly SparseRow[]): string {
  const titles = ['float32 ms', 'sparse ms', 'float32 ÷ sparse (min–max)', 'bytes float32', 'sparse', 'error'];
  return renderTable(
    [
      { title: 'layer' },
      { title: 'weights' },
      ...titles.map((title) => ({ title, align: 'right' as const })),
      { title: 'choice' },
    ],
    rows.map(({ layer, format, float32, sparse, ratio, bytes, error, choice }) => [
      layer,
      format,
      float32.median.toFixed(3),
      sparse.median.toFixed(3),
      `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`,
      String(bytes.float32),
      String(bytes.sparse),
      error.toExponential(0),
      choice,
    ]),
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { adapter: { type: 'string' }, rounds: { type: 'string' }, filter: { type: 'string' } },
  });
  const adapter = values.adapter as 'auto' | 'system' | 'swiftshader' | undefined;
  const { gpu } = await openGpu(adapter ? { adapter } : {});
  const rows: SparseRow[] = [];
  for (const layer of LAYERS) {
    for (const format of sparseFormats(layer)) {
      if (!`${layer.name}, ${format.name}`.includes(values.filter ?? '')) continue;
      rows.push(await measureSparse(gpu, layer, format, Number(values.rounds ?? 11)));
    }
  }
  console.log(`sparse weights on ${gpu.capabilities.name}\n\n${renderSparse(rows)}`);
  gpu.destroy();
  process.exit(0);
}

if (import.meta.url === `file://${process.argv[1]}`) await main();
