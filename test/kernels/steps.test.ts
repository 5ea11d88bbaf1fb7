import { expect, it } from 'vitest';
import { copying, finish, finishPausing, inSteps, STEP, type Steps } from '../../src/kernels/steps.ts';

function* summing(count: number, elementsEach?: number): Steps<number[]> {
  const seen: number[] = [];
  yield* inSteps(
    count,
    (begin, end) => seen.push(...Array.from({ length: end - begin }, (_, i) => begin + i)),
    elementsEach,
  );
  return seen;
}

it.each([0, 1, 8, 9, 1000])('does every one of %i once, in order', async (count) => {
  const expected = Array.from({ length: count }, (_, i) => i);
  expect(finish(summing(count, STEP / 8))).toEqual(expected);
  let pauses = 0;
  const pause = async () => void pauses++;
  expect(await finishPausing(summing(count, STEP / 8), pause)).toEqual(expected);
  // Eight at a time.
  expect(pauses).toBe(Math.ceil(count / 8));
});

it('begins ranges at multiples of eight, of which none is long', () => {
  const ranges: [number, number][] = [];
  finish(inSteps(3 * STEP + 5, (begin, end) => ranges.push([begin, end])));
  expect(ranges.every(([begin, end]) => begin % 8 === 0 && end - begin <= STEP)).toBe(true);
  expect(ranges).toHaveLength(4);
});

it('copies into another type, in steps', () => {
  const source = Int32Array.from({ length: 2 * STEP + 3 }, (_, i) => (i % 200) - 100);
  const steps = copying(source, new Int16Array(source.length));
  expect(steps.next().done).toBe(false);
  expect(finish(steps)).toEqual(new Int16Array(source));
});

it('passes on what is thrown', async () => {
  function* failing(): Steps<number> {
    yield;
    throw new Error('no');
  }
  expect(() => finish(failing())).toThrow('no');
  await expect(finishPausing(failing(), async () => {})).rejects.toThrow('no');
});
