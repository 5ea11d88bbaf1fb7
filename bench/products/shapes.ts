import { InvalidArgumentError } from 'commander';
import { seededRandom } from '../data.ts';

/** `batch` products of [m, k] by [k, n]. */
export interface ProductShape {
  m: number;
  k: number;
  n: number;
  batch: number;
}

const MOST = 2048;
const BATCHES = [4, 16, 64, 300] as const;
/** Beyond these a shape is drawn anew: multiplications, and numbers of all operands. */
const MOST_WORK = 1.2e9;
const MOST_NUMBERS = 8e6;

/**
 * Shapes at random, odd, thin and batched ones among them: sizes even on a logarithmic scale from 1 to 2048, every other
 * shape a batch. The same for the same seed.
 */
export function randomShapes(count: number, seed: number): ProductShape[] {
  const random = seededRandom(seed);
  const size = () => Math.round(2 ** (random() * Math.log2(MOST)));
  const shapes: ProductShape[] = [];
  while (shapes.length < count) {
    const [m, k, n] = [size(), size(), size()];
    const batch = random() < 0.5 ? 1 : BATCHES[Math.floor(random() * BATCHES.length)]!;
    const numbers = batch * (m * k + k * n + m * n);
    if (batch * m * n * k <= MOST_WORK && numbers <= MOST_NUMBERS) shapes.push({ m, k, n, batch });
  }
  return shapes;
}

/** `5x955x1765,64:33x64x33`: [5, 955] by [955, 1765], and 64 of [33, 64] by [64, 33]. */
export function parseShapes(text: string): ProductShape[] {
  return text.split(',').map((one) => {
    const [, batch = '1', m, k, n] = /^(?:(\d+):)?(\d+)x(\d+)x(\d+)$/.exec(one.trim()) ?? [];
    const [count, ...sizes] = [batch, m, k, n].map(Number);
    if (sizes.some((size) => !(size >= 1)) || !(count! >= 1)) {
      throw new InvalidArgumentError(
        `"${one}" is no shape like 64:33x64x33 (64 of [33, 64] by [64, 33]) or 5x955x1765.`,
      );
    }
    return { m: sizes[0]!, k: sizes[1]!, n: sizes[2]!, batch: count! };
  });
}
