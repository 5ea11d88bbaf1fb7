/**
 * Layers with packed weights against the same layers in float32, on one adapter, in turns: GPU time, bytes held, and the
 * error against a float64 reference. Both take the kernels that a network takes on the adapter (Winograd's way for
 * convolutions on CPU adapters); a convolution is also held against float32 in the implicit product, as GPUs compute it.
 *
 * Usage: npm run bench:packed -- [--adapter auto|system|swiftshader] [--rounds N] [--filter TEXT]
 *        [--formats NAME…] [--json] [--save]
 */
import { loadavg } from 'node:os';
import { Command, Option } from 'commander';
import { wholeNumber } from '../../src/cli/flags.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openGpu } from '../../src/gpu/node.ts';
import type { Plan } from '../../src/gpu/plan.ts';
import { replayTimed } from '../../src/gpu/timing.ts';
import { conv } from '../../src/kernels/conv.ts';
import { convAlternatives } from '../../src/kernels/convAlternatives.ts';
import { type BufferOperand, DirectRecorder } from '../../src/kernels/direct.ts';
import { matmul, matrix as view } from '../../src/kernels/matmul.ts';
import { type PackedLayer, packedConv, packedProduct } from '../../src/kernels/packedLayer.ts';
import { productAlternatives } from '../../src/kernels/productAlternatives.ts';
import type { Roof } from '../../src/kernels/roof.ts';
import { cachedRoof } from '../../src/kernels/roofCache.node.ts';
import { weightsOf } from '../../src/kernels/weightMatrix.ts';
import { randomFloats } from '../data.ts';
import { gpuFigures } from '../figures.ts';
import { tell } from '../messages.ts';
import { saveReport } from '../save.ts';
import { spreadOf } from '../statistics.ts';
import { type PackedFormat, packedFormats } from './formats.ts';
import { type BenchLayer, inputElements, LAYERS, outputElements, reference, worst } from './layers.ts';
import { type PackedReport, type PackedRow, renderPacked } from './report.ts';

interface Options {
  rounds: number;
  roof: Roof;
}

async function measure(gpu: Gpu, layer: BenchLayer, format: PackedFormat, options: Options): Promise<PackedRow> {
  const { rounds, roof } = options;
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
    matmul(recorder, { m: shape.m, n: rows, k, a, b, out: view(plainOut!, rows), alternatives: productAlternatives });
  } else conv(recorder, { x: input, weights, out: plainOut!, shape, alternatives });
  const plain = await recorder.compile('float32');
  recorder.clear();
  let product: Plan | undefined;
  if (!('m' in shape)) {
    conv(recorder, { x: input, weights, out: plainOut!, shape });
    product = await recorder.compile('float32 product');
    recorder.clear();
  }
  const activations = quantizer ? { x: input, quantizer, padding: undefined, codes: new Map() } : input;
  const call = { weights: packed, x: activations, out: packedOut!, label: 'packed' };
  if ('m' in shape) packedProduct(recorder, { ...call, m: shape.m, alternatives });
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
  const figures = await gpuFigures(gpu, compact, roof);
  plain.dispose();
  product?.dispose();
  compact.dispose();
  recorder.dispose();
  return {
    layer: layer.name,
    format: format.name,
    // Every weight meets every vector, or every place of the output.
    operations: 2 * outputElements(layer) * k,
    float32: spreadOf(times.map((time) => time.float32)),
    packed: spreadOf(times.map((time) => time.packed)),
    ratio: spreadOf(times.map((time) => time.float32 / time.packed)),
    product: product && spreadOf(times.map((time) => time.product / time.packed)),
    bytes: { float32: 4 * rows * k, packed: 4 * words.length },
    error,
    gpu: figures,
  };
}

async function milliseconds(plan: Plan): Promise<number> {
  const timings = await replayTimed(plan);
  if (!timings) throw new Error('This adapter has no timestamps, by which the layers are timed');
  return timings.reduce((sum, { microseconds }) => sum + microseconds, 0) / 1000;
}

interface Flags {
  adapter?: 'auto' | 'system' | 'swiftshader';
  rounds: number;
  filter: string;
  formats?: string[];
  json?: boolean;
  save?: boolean;
}

async function main(flags: Flags): Promise<void> {
  const before = loadavg()[0]!;
  const { gpu, source } = await openGpu(flags.adapter ? { adapter: flags.adapter } : {});
  const { name, driver, kind } = gpu.capabilities;
  const { roof } = await cachedRoof(gpu);
  const rows: PackedRow[] = [];
  const about = { suite: 'packed' as const, adapter: { name, driver, kind, source }, roof };
  const isWanted = (layer: string, format: string) =>
    `${layer}, ${format}`.toLowerCase().includes(flags.filter.toLowerCase()) &&
    (!flags.formats || flags.formats.includes(format));
  const formatsOf = (layer: BenchLayer) => packedFormats(layer).filter((format) => isWanted(layer.name, format.name));
  const total = LAYERS.reduce((sum, layer) => sum + formatsOf(layer).length, 0);
  await tell({ kind: 'begins', report: { ...about, load: [before, before], rows: [] }, total, missing: [] });
  for (const layer of LAYERS) {
    for (const format of formatsOf(layer)) {
      const row = await measure(gpu, layer, format, { rounds: flags.rounds, roof });
      rows.push(row);
      await tell({ kind: 'case', result: row });
      console.error(`${row.layer}, ${row.format}: ×${row.ratio.median.toFixed(2)}`);
    }
  }
  const report: PackedReport = { ...about, load: [before, loadavg()[0]!], rows };
  if (flags.json) console.log(JSON.stringify(report, undefined, 2));
  else console.log(`packed weights on ${name} (${driver}), load ${before.toFixed(1)}\n\n${renderPacked(rows)}`);
  if (flags.save) console.error(`wrote ${saveReport(report)}`);
  await tell({ kind: 'ends', report });
  gpu.destroy();
  process.exit(0);
}

await new Command('bench:packed')
  .description('layers with packed weights against float32, on one adapter and in turns')
  .addOption(new Option('--adapter <which>', 'adapter to open').choices(['auto', 'system', 'swiftshader']))
  .option('--rounds <n>', 'pairs of samples', wholeNumber(), 15)
  .option('--filter <text>', 'only layers and formats whose name contains this', '')
  .option('--formats <name...>', 'only weights in these formats')
  .option('--json', 'print JSON')
  .option('--save', 'keep the JSON in bench/results/')
  .action(main)
  .parseAsync();
