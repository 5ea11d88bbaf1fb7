import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/train/data/dataset.ts';
import { sequentialBatches, stepsFor, TrainingFeed } from '../../src/train/feed.ts';

const size = 10;
const dataset = memoryDataset({
  name: 'numbers',
  split: 'train',
  sampleShape: [1, 1, 2],
  classes: size,
  samples: Uint8Array.from({ length: 2 * size }, (_, i) => i >> 1),
  labels: Array.from({ length: size }, (_, i) => i),
});

describe('TrainingFeed', () => {
  it('visits every sample once per epoch, in full batches across epochs', async () => {
    const feed = new TrainingFeed(dataset, { batch: 4, seed: 3 });
    const seen: number[] = [];
    for (let step = 0; step < 5; step++) {
      const batch = await feed.at(step);
      expect(batch.count).toBe(4);
      seen.push(...batch.labels);
      expect([...batch.samples]).toEqual([...batch.labels].flatMap((label) => [label, label]));
    }
    const sorted = (values: number[]) => [...values].sort((a, b) => a - b);
    expect(sorted(seen.slice(0, size))).toEqual(Array.from({ length: size }, (_, i) => i));
    expect(sorted(seen.slice(size))).toEqual(Array.from({ length: size }, (_, i) => i));
    expect(seen.slice(0, size)).not.toEqual(seen.slice(size));
  });

  it('gives the same batch for the same step, wherever it starts', async () => {
    const options = { batch: 3, seed: 5, augment: { crop: 2, flip: true } };
    const whole = new TrainingFeed(dataset, options);
    const batches: string[] = [];
    for (let step = 0; step < 12; step++) {
      const { labels, moves } = await whole.at(step);
      batches.push(`${labels}|${moves}`);
    }
    for (const start of [1, 4, 11]) {
      const { labels, moves } = await new TrainingFeed(dataset, options).at(start);
      expect(`${labels}|${moves}`).toBe(batches[start]);
    }
  });

  it('counts steps by samples', () => {
    expect(stepsFor(dataset, 4, 1)).toBe(3);
    expect(stepsFor(dataset, 4, 2)).toBe(5);
    expect(stepsFor(dataset, 64, 1)).toBe(1);
    expect(stepsFor(dataset, 5, 0.5)).toBe(1);
  });
});

describe('sequentialBatches', () => {
  it('keeps the order and clears what a short batch leaves over', async () => {
    const batches: { count: number; labels: number[] }[] = [];
    for await (const { count, labels } of sequentialBatches(dataset, 4, 1))
      batches.push({ count, labels: [...labels] });
    expect(batches).toEqual([
      { count: 4, labels: [1, 2, 3, 4] },
      { count: 4, labels: [5, 6, 7, 8] },
      { count: 2, labels: [9, 10, 0, 0] },
    ]);
  });
});
