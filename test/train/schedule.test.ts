import { describe, expect, it } from 'vitest';
import { learningRate } from '../../src/train/schedule.ts';

describe('learningRate', () => {
  it('warms up linearly and then follows the schedule', () => {
    const schedule = { kind: 'constant', warmupSteps: 4 } as const;
    expect([0, 1, 2, 3, 4, 99].map((step) => learningRate(1, schedule, step, 100))).toEqual([0.25, 0.5, 0.75, 1, 1, 1]);
  });
  it('drops by gamma at milestones', () => {
    const schedule = { kind: 'step', milestones: [0.5, 0.75], gamma: 0.1 } as const;
    expect([0, 49, 50, 75].map((step) => learningRate(1, schedule, step, 100))).toEqual([1, 1, 0.1, 0.1 ** 2]);
  });
  it('is half a cosine', () => {
    const schedule = { kind: 'cosine' } as const;
    expect(learningRate(2, schedule, 0, 100)).toBe(2);
    expect(learningRate(2, schedule, 50, 100)).toBeCloseTo(1, 12);
    expect(learningRate(2, schedule, 25, 100)).toBeCloseTo(1 + Math.SQRT1_2, 12);
    expect(learningRate(2, { kind: 'cosine', final: 0.1 }, 100, 100)).toBeCloseTo(0.2, 12);
  });
  it('stays finite when warm-up is longer than the stage', () => {
    expect(learningRate(1, { kind: 'cosine', warmupSteps: 50 }, 9, 10)).toBe(1);
  });
});
