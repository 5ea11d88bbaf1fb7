import { describe, expect, it } from 'vitest';
import { arenaRanges, arenaSlice, fullMask } from '../../src/kernels/arena.ts';
import { DirectRecorder } from '../../src/kernels/direct.ts';
import { nmMask } from '../../src/kernels/nmMask.ts';
import { indexShifts, type Prunable, pruneSmallest, selectionTiles } from '../../src/kernels/selectThreshold.ts';
import { testGpu } from '../support/gpu.ts';
import { random, randomFloats } from '../support/numbers.ts';

const kept = (mask: Uint32Array, i: number) => ((mask[i >>> 5] >>> (i & 31)) & 1) === 1;

/** What is pruned already first, then the scores upward, NaN last, the lower index before the higher. */
function order(scores: Float32Array, mask: Uint32Array) {
  const key = (i: number) =>
    !kept(mask, i) ? -1 : Number.isNaN(scores[i]) ? Number.POSITIVE_INFINITY : Math.max(scores[i], 0);
  const nan = (i: number) => (kept(mask, i) && Number.isNaN(scores[i]) ? 1 : 0);
  // Infinity and NaN have the same key here; NaN is the larger.
  return (a: number, b: number) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : nan(a) - nan(b) || a - b);
}

/** The selection by a sort on the CPU. */
function reference(
  scores: Float32Array,
  mask: Uint32Array,
  parameters: readonly Prunable[],
  counts: readonly number[],
) {
  const result = mask.slice();
  counts.forEach((count, group) => {
    const members = parameters
      .filter((parameter) => parameter.group === group)
      .flatMap(({ offset, elements }) => Array.from({ length: elements }, (_, i) => offset + i));
    members.sort(order(scores, mask));
    for (const i of members.slice(0, count)) result[i >>> 5] &= ~(1 << (i & 31));
  });
  return result;
}

async function select(
  scores: Float32Array,
  mask: Uint32Array,
  parameters: readonly Prunable[],
  counts: readonly number[],
  binding = 1 << 27,
) {
  const recorder = new DirectRecorder(await testGpu());
  const s = recorder.upload('f32', scores);
  const m = recorder.upload('u32', mask);
  const ranges = arenaRanges(scores.length, binding).map((range) => {
    const list = selectionTiles(parameters, range);
    const slices = { scores: arenaSlice(s.slice, range), mask: arenaSlice(m.slice, range, 'mask') };
    return {
      scores: { ...s, slice: slices.scores, elements: range.elements },
      mask: { ...m, slice: slices.mask, elements: slices.mask.size / 4 },
      tiles: recorder.upload('u32', list),
      start: range.start,
    };
  });
  pruneSmallest(recorder, { ranges, counts: recorder.upload('u32', Uint32Array.from(counts)) });
  await recorder.run();
  const result = await recorder.readU32(m);
  recorder.dispose();
  return result;
}

const arenaOf = (elements: number) => Math.ceil(elements / 64) * 64;

const distributions: Record<string, (next: ReturnType<typeof random>) => number> = {
  'a wide spread': (next) => 10 ** next(-12, 4),
  'a few values, many ties': (next) => Math.floor(next(0, 4)) / 8,
  'one value': () => 0.5,
  zeros: (next) => (next() < 0.9 ? 0 : next()),
  'NaN, infinities, denormals and negatives': (next) =>
    [Number.NaN, Number.POSITIVE_INFINITY, 0, -0, -1, 1e-45, 3e-41, 2][Math.floor(next(0, 8))],
};

describe.each(Object.entries(distributions))('%s', (_, draw) => {
  it.each([1, 33, 1000, 20_000])('prunes exactly the k smallest of %i', async (elements) => {
    const next = random(elements);
    const scores = new Float32Array(arenaOf(elements)).fill(-5); // padding that must not be picked
    for (let i = 0; i < elements; i++) scores[i] = draw(next);
    const mask = fullMask(scores.length);
    const parameters = [{ offset: 0, elements, group: 0 }];
    const several = elements === 1000 ? [0, 1, 499, 999, 1000, 5000] : [Math.floor(elements / 3)];
    for (const count of several) {
      const got = await select(scores, mask, parameters, [count]);
      const left = Array.from({ length: elements }, (_, i) => i).filter((i) => kept(got, i));
      expect(left).toHaveLength(Math.max(elements - count, 0));
      expect(got).toEqual(reference(scores, mask, parameters, [count]));
    }
  });
});

it('ranks 100,000 elements as a sort does, and goes on from there', async () => {
  const elements = 100_000;
  const scores = randomFloats(3, arenaOf(elements), 0, 1).map((value) => Math.round(value * 1000) / 1000);
  const parameters = [{ offset: 0, elements, group: 0 }];
  let mask = fullMask(scores.length);
  for (const count of [30_000, 30_001, 29_000, 90_000]) {
    const before = mask;
    mask = await select(scores, before, parameters, [count]);
    expect(mask).toEqual(reference(scores, before, parameters, [count]));
    // Never fewer than before: what is pruned stays pruned.
    expect(mask.every((word, i) => (word & ~before[i]) === 0)).toBe(true);
  }
});

describe('several parameters', () => {
  // With padding between them, one that is not prunable, and one that needs several tiles.
  const places = [
    { offset: 0, elements: 100 },
    { offset: 192, elements: 9000 },
    { offset: 9216, elements: 1 },
    { offset: 9280, elements: 640 },
  ];
  const length = 9920;
  const next = random(7);
  const scores = Float32Array.from({ length }, (_, i) => Math.floor(next(0, 200)) / 16 / (i < 192 ? 4 : 1));
  const mask = Uint32Array.from({ length: length / 32 }, () => next(0, 2 ** 32) | next(0, 2 ** 32));

  it('are ranked among each other where they share a group', async () => {
    const parameters = places.map((place) => ({ ...place, group: 0 }));
    const got = await select(scores, mask, parameters, [6000]);
    expect(got).toEqual(reference(scores, mask, parameters, [6000]));
  });

  it('are ranked each by itself where they do not', async () => {
    const parameters = places.map((place, group) => ({ ...place, group }));
    const counts = [50, 4500, 0, 600];
    const got = await select(scores, mask, parameters, counts);
    expect(got).toEqual(reference(scores, mask, parameters, counts));
  });

  it('are left alone where they are in no group', async () => {
    const parameters = [
      { ...places[1], group: 0 },
      { ...places[3], group: 2 },
    ];
    const got = await select(scores, mask, parameters, [5000, 77, 300]);
    expect(got).toEqual(reference(scores, mask, parameters, [5000, 77, 300]));
    expect(got.subarray(0, 6)).toEqual(mask.subarray(0, 6));
  });

  it('give the same result in ranges of an arena', async () => {
    const parameters = places.map((place) => ({ ...place, group: 0 }));
    const got = await select(scores, mask, parameters, [7123], 4 * 4096);
    expect(got).toEqual(reference(scores, mask, parameters, [7123]));
  });

  it('must start with a word of the mask', () => {
    expect(() => selectionTiles([{ offset: 16, elements: 4, group: 0 }])).toThrow('at 16');
  });
});

it('tells indices apart with as few passes as there are bytes in the last', () => {
  expect(indexShifts(0)).toEqual([0]);
  expect(indexShifts(255)).toEqual([0]);
  expect(indexShifts(256)).toEqual([8, 0]);
  expect(indexShifts(65_536)).toEqual([16, 8, 0]);
  expect(indexShifts(2 ** 32 - 1)).toEqual([24, 16, 8, 0]);
});

describe('N:M', () => {
  /** Keeps the best of each group by a sort: of equals the higher index. */
  function expected(
    scores: Float32Array,
    mask: Uint32Array,
    of: { offset: number; outer: number; length: number; inner: number; n: number; m: number },
  ) {
    const result = mask.slice();
    const compare = order(scores, mask);
    for (let row = 0; row < of.outer; row++) {
      for (let at = 0; at < of.inner; at++) {
        for (let begin = 0; begin < of.length; begin += of.m) {
          const members: number[] = [];
          for (let j = begin; j < Math.min(begin + of.m, of.length); j++) {
            members.push(of.offset + (row * of.length + j) * of.inner + at);
          }
          const keep = Math.ceil((of.n * members.length) / of.m);
          for (const i of members.sort(compare).slice(0, members.length - keep)) result[i >>> 5] &= ~(1 << (i & 31));
        }
      }
    }
    return result;
  }

  it.each([
    { name: '2:4 of a dense layer', outer: 10, length: 84, inner: 1, n: 2, m: 4 },
    { name: '4:8 over the channels of a convolution', outer: 6, length: 16, inner: 9, n: 4, m: 8 },
    { name: '1:3 with a short last group', outer: 7, length: 20, inner: 2, n: 1, m: 3 },
    { name: '5:32', outer: 3, length: 64, inner: 1, n: 5, m: 32 },
    { name: '3:3', outer: 3, length: 9, inner: 1, n: 3, m: 3 },
  ])('$name', async ({ name: _, ...shape }) => {
    const recorder = new DirectRecorder(await testGpu());
    const next = random(13);
    const scores = Float32Array.from({ length: 2048 }, () => (next() < 0.05 ? Number.NaN : Math.floor(next(0, 30))));
    const before = Uint32Array.from({ length: 64 }, () => next(0, 2 ** 32) | next(0, 2 ** 32));
    const mask = recorder.upload('u32', before);
    const of = { ...shape, offset: 128 };
    nmMask(recorder, { ...of, scores: recorder.upload('f32', scores), mask });
    await recorder.run();
    expect(await recorder.readU32(mask)).toEqual(expected(scores, before, of));
    recorder.dispose();
  });

  it('refuses numbers that make no sense', async () => {
    const recorder = new DirectRecorder(await testGpu());
    const operands = { scores: recorder.temporary('f32', 64), mask: recorder.temporary('u32', 2) };
    const shape = { offset: 0, outer: 1, length: 64, inner: 1 };
    for (const [n, m] of [
      [0, 4],
      [5, 4],
      [1, 33],
      [1.5, 4],
    ]) {
      expect(() => nmMask(recorder, { ...operands, ...shape, n, m })).toThrow('sparsity needs');
    }
    recorder.dispose();
  });
});
