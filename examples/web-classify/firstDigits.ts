import type { Dataset } from '../../src/train/data/dataset.ts';

/** The first image of each digit among the first hundred of an MNIST set: 28 × 28 bytes each, base64. */
export async function firstDigits(set: Dataset): Promise<string[]> {
  const labels = new Uint32Array(100);
  const pixels = new Uint8Array(100 * 784);
  await set.read(
    Uint32Array.from({ length: 100 }, (_, i) => i),
    pixels,
    labels,
  );
  return Array.from({ length: 10 }, (_, digit) => {
    const at = labels.indexOf(digit);
    return Buffer.from(pixels.subarray(784 * at, 784 * (at + 1))).toString('base64');
  });
}
