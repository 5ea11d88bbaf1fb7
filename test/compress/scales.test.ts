import { describe, expect, it } from 'vitest';
import { matchesAny } from '../../src/compress/patterns.ts';
import { channelValues, lsqScale, mseScale } from '../../src/compress/scales.ts';
import { cubicSparsity } from '../../src/compress/sparsitySchedule.ts';
import { quantizerLevels as levels } from '../../src/kernels/fakeQuantize.ts';
import { randomFloats } from '../support/numbers.ts';

describe('levels', () => {
  it('are those of b-bit integers', () => {
    expect(levels(8, false, false)).toEqual({ low: 0, high: 255 });
    expect(levels(8, true, false)).toEqual({ low: -128, high: 127 });
    expect(levels(4, true, true)).toEqual({ low: -7, high: 7 });
    expect(levels(2, true, true)).toEqual({ low: -1, high: 1 });
  });
});

describe('lsqScale', () => {
  it('is 2·mean|w|/√Qp over what is not zero', () => {
    // mean|w| = (1 + 2 + 3) / 3 = 2, Qp = 7.
    expect(lsqScale(Float32Array.of(1, -2, 0, 3), levels(4, true, true))).toBeCloseTo(4 / Math.sqrt(7), 12);
  });
  it('stays positive for zeros', () => {
    expect(lsqScale(new Float32Array(4), levels(4, true, true))).toBeGreaterThan(0);
  });
});

describe('mseScale', () => {
  const error = (values: Float32Array, scale: number, high: number) =>
    values.reduce(
      (sum, v) => sum + Math.abs(v - scale * Math.min(Math.max(Math.round(v / scale), -high), high)) ** 2.4,
      0,
    );
  it.each([2, 3, 4, 8])('is nowhere beaten by more than its grid at %i bits', (bits) => {
    const values = randomFloats(bits, 2000).map((v) => v ** 3);
    const range = levels(bits, true, true);
    const best = error(values, mseScale(values, range), range.high);
    for (let i = 1; i <= 400; i++) {
      expect(best).toBeLessThanOrEqual(error(values, i / 400 / range.high, range.high) * 1.02);
    }
  });
  it('represents a grid exactly', () => {
    const values = Float32Array.from({ length: 15 }, (_, i) => (i - 7) * 0.25);
    expect(mseScale(values, levels(4, true, true))).toBeCloseTo(0.25, 12);
  });
});

describe('channelValues', () => {
  it('gathers along any axis', () => {
    const data = Float32Array.from({ length: 24 }, (_, i) => i);
    expect([...channelValues(data, [2, 3, 4], 1, 2)]).toEqual([8, 9, 10, 11, 20, 21, 22, 23]);
    expect([...channelValues(data, [6, 4], 1, 3)]).toEqual([3, 7, 11, 15, 19, 23]);
  });
});

describe('cubicSparsity', () => {
  it('gives the values of Zhu & Gupta’s formula', () => {
    const schedule = { initial: 0.2, final: 0.8, begin: 0, end: 100 };
    // 0.8 − 0.6·0.75³ = 0.546875; 0.8 − 0.6·0.5³ = 0.725.
    expect(cubicSparsity(0, schedule)).toBeCloseTo(0.2, 12);
    expect(cubicSparsity(25, schedule)).toBeCloseTo(0.546875, 12);
    expect(cubicSparsity(50, schedule)).toBeCloseTo(0.725, 12);
    expect(cubicSparsity(100, schedule)).toBe(0.8);
    expect(cubicSparsity(500, schedule)).toBe(0.8);
  });
});

describe('patterns', () => {
  it.each([
    ['conv1', 'conv1', true],
    ['conv1', 'conv10', false],
    ['conv*', 'conv10', true],
    ['*.bn*.weight', 'layer1.bn2.weight', true],
    ['a*a', 'a', false],
    ['*', '', true],
    [`${'*a'.repeat(30)}b`, 'a'.repeat(5000), false],
  ])('%s against %s', (pattern, name, expected) => {
    expect(matchesAny([pattern], name)).toBe(expected);
  });
});
