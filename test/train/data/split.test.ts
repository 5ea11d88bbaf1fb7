import { expect, test } from 'vitest';
import { allocateSamples, memoryDataset } from '../../../src/train/data/dataset.ts';
import { parsePreprocess } from '../../../src/train/data/preprocess.ts';
import { resizedDataset } from '../../../src/train/data/resized.ts';
import { holdOut, subset, takeFirst, withLabelOffset } from '../../../src/train/data/split.ts';

const base = memoryDataset({
  name: 'numbers',
  split: 'train',
  sampleShape: [1, 1, 2],
  classes: 5,
  samples: Uint8Array.from({ length: 20 }, (_, i) => i),
  labels: [0, 1, 2, 3, 4, 0, 1, 2, 3, 4],
});

function readAll(dataset: typeof base, indices = Array.from({ length: dataset.size }, (_, i) => i)) {
  const out = allocateSamples(dataset, indices.length);
  const labels = new Uint32Array(indices.length);
  expect(dataset.read(indices, out, labels)).toBeUndefined();
  return { out: [...out], labels: [...labels] };
}

test('read places samples and labels in the order asked for', () => {
  expect(readAll(base, [9, 0])).toEqual({ out: [18, 19, 0, 1], labels: [4, 0] });
  expect(() => readAll(base, [10])).toThrow(RangeError);
  expect(() => readAll(base, [-1])).toThrow(RangeError);
});

test('subset of a subset', () => {
  const inner = subset(subset(base, [9, 7, 5, 3]), [3, 0]);
  expect(inner.size).toBe(2);
  expect(readAll(inner)).toEqual({ out: [6, 7, 18, 19], labels: [3, 4] });
  expect(() => subset(base, [10])).toThrow(RangeError);
  expect(() => readAll(inner, [2])).toThrow(RangeError);
  expect(takeFirst(base, 3).size).toBe(3);
  expect(takeFirst(base, 30)).toBe(base);
});

test('holdOut divides by seed, without overlap, in order', () => {
  const ids = (dataset: typeof base) => readAll(dataset).out.filter((_, i) => i % 2 === 0);
  const { train, validation } = holdOut(base, 3, 11);
  expect([train.size, validation.size]).toEqual([7, 3]);
  expect([...ids(train), ...ids(validation)].sort((a, b) => a - b)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
  expect(ids(train)).toEqual(ids(train).toSorted((a, b) => a - b));
  expect(ids(holdOut(base, 3, 11).validation)).toEqual(ids(validation));
  const others = [12, 13, 14].map((seed) => ids(holdOut(base, 3, seed).validation).join());
  expect(others.some((other) => other !== ids(validation).join())).toBe(true);
  expect(() => holdOut(base, 11, 1)).toThrow(RangeError);
});

test('withLabelOffset moves labels and classes', () => {
  const moved = withLabelOffset(base, 1);
  expect(moved.classes).toBe(6);
  expect(readAll(moved, [4, 0]).labels).toEqual([5, 1]);
  expect(withLabelOffset(base, 0)).toBe(base);
});

test('resizedDataset', () => {
  const resized = resizedDataset(base, parsePreprocess({ resize: '4x2' }));
  expect(resized.sampleShape).toEqual([1, 2, 4]);
  // Centres of four pixels over two: 0 and 1 outside, 0.25 and 0.75 between.
  const row = [100, 100.25, 100.75, 101].map(Math.round);
  const samples = memoryDataset({ ...base, samples: Uint8Array.of(100, 101), labels: [0] });
  expect(readAll(resizedDataset(samples, { resize: { width: 4, height: 2 } })).out).toEqual([...row, ...row]);
  expect(readAll(resizedDataset(base, { crop: 1 }), [3])).toEqual({ out: [6], labels: [3] });
  expect(resizedDataset(base, {})).toBe(base);
  expect(() => resizedDataset(base, { crop: 2 })).toThrow(/numbers: crop 2 is larger/);
});
