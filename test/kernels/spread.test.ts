import { describe, expect, it } from 'vitest';
import { spread, spreadConstant, spreadElements } from '../../src/kernels/spread.ts';

describe('spread', () => {
  it.each([0, 1, 15, 16, 17, 1000, 65535 * 64 + 1, 3e7])('covers %i items', (items) => {
    for (const kind of ['cpu', 'gpu'] as const) {
      const { wg, span, workgroups } = spread({ kind }, items);
      expect(span % wg).toBe(0);
      expect(workgroups[0] * workgroups[1] * span).toBeGreaterThanOrEqual(items);
      if (kind === 'cpu') expect(workgroups[0]).toBeLessThanOrEqual(64);
    }
  });
});

describe('spreadElements', () => {
  it('takes vectors where they come out even', () => {
    expect(spreadElements({ kind: 'gpu' }, 8)).toMatchObject({ args: { n: 2 }, tunables: { T: 'vec4f' } });
    expect(spreadElements({ kind: 'gpu' }, 9)).toMatchObject({ args: { n: 9 }, tunables: { T: 'f32' } });
    expect(spreadElements({ kind: 'gpu' }, 8, false)).toMatchObject({ args: { n: 8 }, tunables: { T: 'f32' } });
  });
});

describe('spreadConstant', () => {
  it.each([0, 1, 16, 1000, 100_000, 3e7])('covers %i items, each invocation a power of two of them', (items) => {
    for (const kind of ['cpu', 'gpu'] as const) {
      const { tunables, workgroups } = spreadConstant({ kind }, items);
      expect(workgroups[0] * workgroups[1] * tunables.WG * tunables.PER).toBeGreaterThanOrEqual(items);
      expect(Number.isInteger(Math.log2(tunables.PER))).toBe(true);
      if (kind === 'gpu') expect(tunables.PER).toBe(1);
      else expect(workgroups[0]).toBeLessThanOrEqual(64);
    }
  });
});
