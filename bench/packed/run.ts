/**
 * Layers with packed weights against the same layers in float32, on one adapter, in turns: GPU time, bytes held, and the
 * error against a float64 reference. Both take the kernels that a network takes on the adapter (Winograd's way for
 * convolutions on CPU adapters); a convolution is also held against float32 in the implicit product, as GPUs compute it.
 *
 * Usage: npm run bench:packed -- [--adapter auto|system|swiftshader] [--rounds N] [--filter TEXT] [--json] [--save]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { Command, Option } from 'commander';
import { wholeNumber } from '../../src/cli/flags.ts';
import { renderTable } from '../../src/cli/table.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';
import type { Plan } from '../../src/gpu/plan.ts';
import { replayTimed } from '../../src/gpu/timing.ts';
import { conv } from '../../src/kernels/conv.ts';
import { convAlternatives } from '../../src/kernels/convAlternatives.ts';
import { type BufferOperand, DirectRecorder } from '../../src/kernels/direct.ts';
import { matmul, matrix as view } from '../../src/kernels/matmul.ts';
import { type PackedLayer, packedConv, packedProduct } from '../../src/kernels/packedLayer.ts';
import { weightsOf } from '../../src/kernels/weightMatrix.ts';
import { randomFloats } from '../data.ts';
import { slug } from '../slug.ts';
import { type Spread, spreadOf } from '../statistics.ts';
import { type PackedFormat, packedFormats } from './formats.ts';
import { type BenchLayer, inputElements, LAYERS, outputElements, reference, worst } from './layers.ts';

interface Row {
  layer: string;
  format: string;
  /** GPU milliseconds, padding and quantization of the input included. */
  float32: Spread;
  packed: Spread;
  /** float32 through packed, pair by pair: above 1, packed is faster. */
  ratio: Spread;
  /** Of a convolution: the same for float32 in the implicit product. */
  product: Spread | undefined;
  bytes: { float32: number; packed: number };
  /** Largest difference from the layer in float64, through its largest value; of what the numbers stand for. */
  error: { float32: number; packed: number };
}

async function measure(gpu: Gpu, layer: BenchLayer, format: PackedFormat, rounds: number): Promise<Row> {
  const recorder = new DirectRecorder(gpu);
  // As the engine has it (src/engine/ops/conv.ts).
  const alternatives = gpu.capabilities.kind === 'cpu' ? convAlternatives : undefined;
  const { quantizer } = format;
  // Numbers that the quantizer keeps as they are, so that both compute the same.
  const x = randomFloats(inputElements(layer), 1).map((value) =>
    Math.fround(Math.round(127 * value) * Math.fround(1 / 127)),
  );
  const float = weightsOf(format.matrix);
  const input = recorder.upload('f32', x);
  const weights = recorder.upload('f32', float);
  const { words, ...meta } = format.weights;
  const packed = { ...meta, operand: recorder.upload('u32', words) } as PackedLayer;
  const [plainOut, packedOut] = [0, 1].map(() =>
    recorder.temporary('f32', outputElements(layer)),
  ) as BufferOperand<'f32'>[];
  const { shape, rows, k } = layer;
  if ('m' in shape) {
    const [a, b] = [view(input, k), view(weights, k, true)];
    matmul(recorder, { m: shape.m, n: rows, k, a, b, out: view(plainOut!, rows) });
  } else conv(recorder, { x: input, weights, out: plainOut!, shape, alternatives });
  const plain = await recorder.compile('float32');
  recorder.clear();
  let product: Plan | undefined;
  if (!('m' in shape)) {
    conv(recorder, { x: input, weights, out: plainOut!, shape });
    product = await recorder.compile('float32 product');
    recorder.clear();
  }
  const activations = quantizer ? { x: input, quantizer, codes: new Map() } : input;
  const call = { weights: packed, x: activations, out: packedOut!, label: 'packed' };
  if ('m' in shape) packedProduct(recorder, { ...call, m: shape.m });
  else packedConv(recorder, { ...call, shape, alternatives });
  const compact = await recorder.compile('packed');
  recorder.clear();
  const times: { float32: number; product: number; packed: number }[] = [];
  for (let round = -3; round < rounds; round++) {
    const time = {
      float32: await milliseconds(plain),
      product: product ? await milliseconds(product) : 0,
      packed: await milliseconds(compact),
    };
    if (round >= 0) times.push(time);
  }
  const expected = reference(x, float, layer);
  const error = {
    float32: worst(await recorder.read(plainOut!), expected),
    packed: worst(await recorder.read(packedOut!), expected),
  };
  plain.dispose();
  product?.dispose();
  compact.dispose();
  recorder.dispose();
  return {
    layer: layer.name,
    format: format.name,
    float32: spreadOf(times.map((time) => time.float32)),
    packed: spreadOf(times.map((time) => time.packed)),
    ratio: spreadOf(times.map((time) => time.float32 / time.packed)),
    product: product && spreadOf(times.map((time) => time.product / time.packed)),
    bytes: { float32: 4 * rows * k, packed: 4 * words.length },
    error,
  };
}

async function milliseconds(plan: Plan): Promise<number> {
  const timings = await replayTimed(plan);
  if (!timings) throw new Error('This adapter has no timestamps, by which the layers are timed');
  return timings.reduce((sum, { microseconds }) => sum + microseconds, 0) / 1000;
}

function render(rows: readonly Row[]): string {
  const right = 'right' as const;
  return renderTable(
    [
      { title: 'layer' },
      { title: 'weights' },
      ...[
        'float32 ms',
        'packed ms',
        'float32 ÷ packed (min–max)',
        'product ÷ packed',
        'bytes',
        'of float32',
        'error',
        'error float32',
      ].map((title) => ({ title, align: right })),
    ],
    rows.map(({ layer, format, float32, packed, ratio, product, bytes, error }) => [
      layer,
      format,
      float32.median.toFixed(3),
      packed.median.toFixed(3),
      `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`,
      product?.median.toFixed(2) ?? '',
      String(bytes.packed),
      `${((100 * bytes.packed) / bytes.float32).toFixed(1)} %`,
      error.packed.toExponential(0),
      error.float32.toExponential(0),
    ]),
  );
}

interface Flags {
  adapter?: 'auto' | 'system' | 'swiftshader';
  rounds: number;
  filter: string;
  json?: boolean;
  save?: boolean;
}

async function main(flags: Flags): Promise<void> {
  const before = loadavg()[0]!;
  const { gpu, source } = await openGpu(flags.adapter ? { adapter: flags.adapter } : {});
  const { name, driver, kind } = gpu.capabilities;
  const rows: Row[] = [];
  for (const layer of LAYERS) {
    for (const format of packedFormats(layer)) {
      if (!`${layer.name}, ${format.name}`.includes(flags.filter)) continue;
      const row = await measure(gpu, layer, format, flags.rounds);
      rows.push(row);
      console.error(`${row.layer}, ${row.format}: ×${row.ratio.median.toFixed(2)}`);
    }
  }
  const report = { suite: 'packed', adapter: { name, driver, kind, source }, load: [before, loadavg()[0]], rows };
  if (flags.json) console.log(JSON.stringify(report, undefined, 2));
  else console.log(`packed weights on ${name} (${driver}), load ${before.toFixed(1)}\n\n${render(rows)}`);
  if (flags.save) {
    const folder = new URL('../results/', import.meta.url);
    mkdirSync(folder, { recursive: true });
    writeFileSync(new URL(`${slug(name)}-packed.json`, folder), `${JSON.stringify(report, undefined, 2)}\n`);
  }
  gpu.destroy();
  process.exit(0);
}

await new Command('bench:packed')
  .description('layers with packed weights against float32, on one adapter and in turns')
  .addOption(new Option('--adapter <which>', 'adapter to open').choices(['auto', 'system', 'swiftshader']))
  .option('--rounds <n>', 'pairs of samples', wholeNumber(), 15)
  .option('--filter <text>', 'only layers and formats whose name contains this', '')
  .option('--json', 'print JSON')
  .option('--save', 'keep the JSON in bench/results/')
  .action(main)
  .parseAsync();
