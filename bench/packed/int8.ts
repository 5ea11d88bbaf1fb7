/**
 * Layers with int8 weights and activations against the same layers in float32, on one adapter, in turns.
 *
 * Usage: npx tsx bench/packed/int8.ts [--adapter auto|system|swiftshader] [--rounds N] [--filter TEXT]
 */
import { parseArgs } from 'node:util';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';
import type { Plan } from '../../src/gpu/plan.ts';
import { conv } from '../../src/kernels/conv.ts';
import type { ConvShape } from '../../src/kernels/convShape.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { int8Conv } from '../../src/kernels/int8Conv.ts';
import { emptyPlanes, quantizePlanes, quantizeRows } from '../../src/kernels/int8Planes.ts';
import { int8Product } from '../../src/kernels/int8Product.ts';
import { packInt8 } from '../../src/kernels/int8Weights.ts';
import { matmul, matrix } from '../../src/kernels/matmul.ts';
import { type WeightMatrix, weightsOf } from '../../src/kernels/weightMatrix.ts';
import { randomFloats } from '../data.ts';
import { spreadOf } from '../statistics.ts';

export interface Int8Row {
  name: string;
  /** GPU time, medians, ms: padding and convolution (or product) in float32; the quantization of x and the int8 kernel. */
  float32: number;
  int8: number;
  /** Of int8, the quantization of x. */
  quantize: number;
  /** float32 through int8, the median over pairs of replays. */
  ratio: number;
  /** Where the layer before wrote codes and this one does: without the quantization. */
  fusedRatio: number | undefined;
  bytes: { float32: number; int8: number };
  /** Largest difference from a float64 reference through its largest value: of the same quantized numbers, for both. */
  error: { float32: number; int8: number };
  /** The same of the int8 result from the layer before x was quantized. */
  quantizationError: number;
}

interface Layer {
  name: string;
  rows: number;
  k: number;
  shape: ConvShape | { m: number };
}

export const LAYERS: readonly Layer[] = [
  ...[1, 32].map((n) => ({ name: `conv 3×3 64→64 16×16, batch ${n}`, rows: 64, k: 576, shape: square(n, 64, 16, 3) })),
  ...[1, 32].map((m) => ({ name: `dense 1024×1024, batch ${m}`, rows: 1024, k: 1024, shape: { m } })),
  { name: 'conv 1×1 64→64 16×16, batch 32', rows: 64, k: 64, shape: square(32, 64, 16, 1) },
  { name: 'conv 3×3 depthwise 64 16×16, batch 32', rows: 64, k: 9, shape: { ...square(32, 64, 16, 3), groups: 64 } },
];

function square(n: number, channels: number, size: number, kernel: number): ConvShape {
  const pad = (kernel - 1) / 2;
  const lengths = { n, ic: channels, ih: size, iw: size, oc: channels, oh: size, ow: size, kh: kernel, kw: kernel };
  const steps = { strideH: 1, strideW: 1, dilH: 1, dilW: 1, groups: 1 };
  return { ...lengths, ...steps, padTop: pad, padLeft: pad, padBottom: pad, padRight: pad };
}

/** Measures the layers one after the other. Undefined where the adapter has no timestamps. */
export async function measureInt8(
  gpu: Gpu,
  {
    rounds = 25,
    layers = LAYERS,
    onRow,
  }: { rounds?: number; layers?: readonly Layer[]; onRow?: (row: Int8Row) => void },
): Promise<Int8Row[] | undefined> {
  if (!gpu.capabilities.timestamps) return undefined;
  const rows: Int8Row[] = [];
  for (const layer of layers) {
    const row = await measureLayer(gpu, layer, rounds);
    onRow?.(row);
    rows.push(row);
  }
  return rows;
}

async function measureLayer(gpu: Gpu, layer: Layer, rounds: number): Promise<Int8Row> {
  const { rows, k, shape } = layer;
  const recorder = new DirectRecorder(gpu);
  const data = randomFloats('n' in shape ? shape.n * shape.ic * shape.ih * shape.iw : shape.m * k, 1);
  const quantizer = { scale: 1 / 127, low: -128, high: 127 };
  // Both run on the numbers that the codes stand for, so that their results can be compared.
  const rounded = data.map((value) => Math.round(value / quantizer.scale) * Math.fround(quantizer.scale));
  const weights = randomMatrix(rows, k);
  const packed = packInt8(weights, 'n' in shape ? { groups: shape.groups, taps: shape.kh * shape.kw } : DENSE);
  const int8Weights = { ...packed, operand: recorder.upload('u32', packed.words) };
  const float = weightsOf(weights);
  const floatWeights = recorder.upload('f32', float);
  const x = recorder.upload('f32', rounded);
  const size = 'n' in shape ? shape.n * rows * shape.oh * shape.ow : shape.m * rows;
  const [floatOut, int8Out] = [0, 1].map(() => recorder.temporary('f32', size));
  const plans: { float32: Plan; int8: Plan; fused?: Plan } = {} as never;
  const compile = async () => {
    const plan = await recorder.compile(layer.name);
    recorder.clear();
    return plan;
  };
  if ('n' in shape) {
    conv(recorder, { x, weights: floatWeights, out: floatOut!, shape });
    plans.float32 = await compile();
    const planes = quantizePlanes(recorder, { x, shape, ...quantizer });
    int8Conv(recorder, { x: planes, weights: int8Weights, out: int8Out!, shape });
    plans.int8 = await compile();
    const codes = emptyPlanes(recorder, { shape, ...quantizer });
    int8Conv(recorder, { x: planes, weights: int8Weights, codes, shape });
    plans.fused = await compile();
  } else {
    const { m } = shape;
    // In the order that the float32 kernel multiplies fastest, [k, rows].
    const transposed = recorder.upload(
      'f32',
      Float32Array.from(float, (_, i) => float[(i % rows) * k + Math.floor(i / rows)]!),
    );
    const b = matrix(transposed, rows);
    matmul(recorder, { m, n: rows, k, a: matrix(x, k), b, out: matrix(floatOut!, rows) });
    plans.float32 = await compile();
    const codes = quantizeRows(recorder, { x, m, k, ...quantizer });
    int8Product(recorder, { x: codes, weights: int8Weights, out: int8Out!, m });
    plans.int8 = await compile();
  }
  const times = await inTurns(plans, rounds);
  const results = [await recorder.read(floatOut!), await recorder.read(int8Out!)];
  const expected = reference(rounded, float, layer);
  const unrounded = reference(data, float, layer);
  for (const plan of Object.values(plans)) plan.dispose();
  recorder.dispose();
  const median = (values: number[]) => spreadOf(values).median;
  return {
    name: layer.name,
    float32: median(times.map((time) => time.float32)),
    int8: median(times.map((time) => time.int8)),
    quantize: median(times.map((time) => time.quantize)),
    ratio: median(times.map((time) => time.float32 / time.int8)),
    fusedRatio: plans.fused && median(times.map((time) => time.float32 / time.fused)),
    bytes: { float32: 4 * rows * k, int8: 4 * packed.words.length },
    error: { float32: worst(results[0]!, expected), int8: worst(results[1]!, expected) },
    quantizationError: worst(results[1]!, unrounded),
  };
}

const DENSE = { groups: 1, taps: 1 };

function randomMatrix(rows: number, k: number): WeightMatrix {
  const codes = Int16Array.from(randomFloats(rows * k, 2), (value) => Math.round(127 * value));
  const scale = randomFloats(rows, 3).map((value) => 0.001 * (1.5 + value));
  return { rows, k, values: { kind: 'int', bits: 8, codes, scale, halfScale: false, group: k } };
}

/** GPU milliseconds of the plans, replayed in turns after a few rounds that do not count. */
async function inTurns(plans: { float32: Plan; int8: Plan; fused?: Plan }, rounds: number) {
  const times: { float32: number; int8: number; fused: number; quantize: number }[] = [];
  for (let round = -3; round < rounds; round++) {
    const [float32, int8, fused] = [
      await milliseconds(plans.float32),
      await milliseconds(plans.int8),
      plans.fused ? await milliseconds(plans.fused) : [],
    ];
    const total = (parts: number[]) => parts.reduce((sum, part) => sum + part, 0);
    const time = { float32: total(float32), int8: total(int8), fused: total(fused), quantize: int8[0]! };
    if (round >= 0) times.push(time);
  }
  return times;
}

async function milliseconds(plan: Plan): Promise<number[]> {
  return (await plan.replayTimed())!.map(({ microseconds }) => microseconds / 1000);
}

/** The layer in double precision. */
function reference(x: Float32Array, w: Float32Array, { rows, k, shape }: Layer): Float64Array {
  if (!('n' in shape)) {
    const out = new Float64Array(shape.m * rows);
    for (let item = 0; item < shape.m; item++) {
      for (let row = 0; row < rows; row++) {
        let sum = 0;
        for (let i = 0; i < k; i++) sum += w[row * k + i]! * x[item * k + i]!;
        out[item * rows + row] = sum;
      }
    }
    return out;
  }
  const { n, ic, ih, iw, oc, oh, ow, kh, kw, padTop, padLeft, groups } = shape;
  const out = new Float64Array(n * oc * oh * ow);
  const groupIn = ic / groups;
  for (let plane = 0; plane < n * oc; plane++) {
    const row = plane % oc;
    const first = Math.floor(plane / oc) * ic + Math.floor(row / (oc / groups)) * groupIn;
    for (let i = 0; i < k; i++) {
      const weight = w[row * k + i]!;
      const dy = (Math.floor(i / kw) % kh) - padTop;
      const dx = (i % kw) - padLeft;
      const source = (first + Math.floor(i / (kh * kw))) * ih * iw;
      for (let y = Math.max(0, -dy); y < Math.min(oh, ih - dy); y++) {
        for (let column = Math.max(0, -dx); column < Math.min(ow, iw - dx); column++) {
          out[(plane * oh + y) * ow + column]! += weight * x[source + (y + dy) * iw + column + dx]!;
        }
      }
    }
  }
  return out;
}

function worst(actual: Float32Array, expected: Float64Array): number {
  let scale = 0;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]!));
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
  }
  return difference / scale;
}

export function renderInt8(rows: readonly Int8Row[]): string {
  const head =
    '| layer | float32 ms | int8 ms | of it quantize | ratio | codes to codes | bytes float32 | int8 | error float32 | int8 | of quantizing x |';
  const lines = rows.map(({ name, float32, int8, quantize, ratio, fusedRatio, bytes, error, quantizationError }) =>
    [
      name,
      ...[float32, int8, quantize].map((ms) => ms.toFixed(3)),
      ratio.toFixed(2),
      fusedRatio?.toFixed(2) ?? '',
      bytes.float32,
      bytes.int8,
      ...[error.float32, error.int8, quantizationError].map((value) => value.toExponential(1)),
    ].join(' | '),
  );
  return [head, `|${'---|'.repeat(11)}`, ...lines.map((line) => `| ${line} |`)].join('\n');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { adapter: { type: 'string' }, rounds: { type: 'string' }, filter: { type: 'string' } },
  });
  const { gpu } = await openGpu({ ...(values.adapter && { adapter: values.adapter as 'swiftshader' }) });
  const layers = LAYERS.filter(({ name }) => name.includes(values.filter ?? ''));
  const rows = await measureInt8(gpu, {
    layers,
    rounds: Number(values.rounds ?? 25),
    onRow: ({ name, ratio }) => console.error(`${name}: ×${ratio.toFixed(2)}`),
  });
  console.log(gpu.capabilities.name, gpu.capabilities.driver);
  console.log(rows ? renderInt8(rows) : 'The adapter has no timestamps');
  gpu.destroy();
}

if (process.argv[1]?.endsWith('packed/int8.ts')) await main();
