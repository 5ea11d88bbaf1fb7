import { describe, expect, it } from 'vitest';
import { type Contender, relativeError } from '../../bench/contender.ts';
import { permute, toChannelsFirst, toChannelsLast, toOnnxKernel, toTensorFlowKernel } from '../../bench/data.ts';
import { compare, resultOf } from '../../bench/measure.ts';
import { spreadOf } from '../../bench/statistics.ts';
import { inDoubt } from '../../bench/suite.ts';

const options = { rounds: 4, seconds: 60 };

function fake(name: string, value: number, log: string[] = []): Contender {
  return {
    name,
    async run() {
      log.push(name);
      // Longer than a sample, so that a sample is one run.
      await new Promise((resolve) => setTimeout(resolve, 25));
      return Float32Array.of(value, 1);
    },
  };
}

describe('bench', () => {
  it('takes the middle of an odd and of an even number of values', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 });
    expect(spreadOf([4, 1, 2, 3])).toEqual({ min: 1, median: 2.5, max: 4 });
  });

  it('measures errors against the largest value, and NaN as infinite', () => {
    expect(relativeError(Float32Array.of(1, -4), Float32Array.of(1, -4))).toBe(0);
    expect(relativeError(Float32Array.of(1, -4), Float32Array.of(2, -4))).toBe(0.25);
    expect(relativeError(Float32Array.of(1, 4), Float32Array.of(Number.NaN, 4))).toBe(Number.POSITIVE_INFINITY);
    expect(relativeError(Float32Array.of(1), Float32Array.of(1, 2))).toBe(Number.POSITIVE_INFINITY);
  });

  it('samples in turns', async () => {
    const log: string[] = [];
    const ours = fake('a', 2, log);
    const result = await compare(ours, fake('b', 2, log), await resultOf(ours), options);
    expect(result).toMatchObject({ peer: 'b', agrees: true, rounds: 4, error: 0 });
    expect(log.slice(-8).join('')).toBe('abababab');
  });

  it('does not time results that differ, and doubts wgslim only where no peer agrees', async () => {
    const ours = fake('a', 2);
    const expected = await resultOf(ours);
    const differs = await compare(ours, fake('b', 2.1), expected, options);
    expect(differs).toMatchObject({ agrees: false, rounds: 0 });
    const agrees = await compare(ours, fake('c', 2), expected, { rounds: 1, seconds: 1 });
    expect(inDoubt({ name: '', failures: [], comparisons: [differs] })).toBe(true);
    expect(inDoubt({ name: '', failures: [], comparisons: [differs, agrees] })).toBe(false);
  });

  it('turns layouts around and back', () => {
    const data = Float32Array.from({ length: 2 * 3 * 4 * 5 }, (_, i) => i);
    const last = toChannelsLast(data, [2, 3, 4, 5]);
    // Element (n, h, w, c) = (1, 2, 3, 1) of the result is (1, 1, 2, 3) of the data.
    expect(last[((1 * 4 + 2) * 5 + 3) * 3 + 1]).toBe(((1 * 3 + 1) * 4 + 2) * 5 + 3);
    expect(toChannelsFirst(last, [2, 3, 4, 5])).toEqual(data);
    expect(toOnnxKernel(toTensorFlowKernel(data, [2, 3, 4, 5]), [2, 3, 4, 5])).toEqual(data);
    expect([...permute(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3], [1, 0])]).toEqual([1, 4, 2, 5, 3, 6]);
  });
});
