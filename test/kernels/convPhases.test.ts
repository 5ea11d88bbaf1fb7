import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { axisPhases } from '../../src/kernels/convPhases.ts';

describe('axisPhases', () => {
  it('reaches exactly the pairs of rows and taps that the convolution connects', () => {
    const axes = fc
      .record({
        input: fc.integer({ min: 1, max: 20 }),
        kernel: fc.integer({ min: 1, max: 6 }),
        stride: fc.integer({ min: 1, max: 5 }),
        dilation: fc.integer({ min: 1, max: 4 }),
        pad: fc.integer({ min: 0, max: 4 }),
        padAfter: fc.integer({ min: 0, max: 4 }),
      })
      .map((axis) => ({
        ...axis,
        output: Math.floor(
          (axis.input + axis.pad + axis.padAfter - (axis.kernel - 1) * axis.dilation - 1) / axis.stride + 1,
        ),
      }))
      .filter(({ output }) => output > 0);
    fc.assert(
      fc.property(axes, (axis) => {
        const expected = new Set<string>();
        for (let o = 0; o < axis.output; o++) {
          for (let t = 0; t < axis.kernel; t++) {
            const i = o * axis.stride + t * axis.dilation - axis.pad;
            if (i >= 0 && i < axis.input) expected.add(`${i}<-${o}*${t}`);
          }
        }
        const { phases, spacing, before, after } = axisPhases(axis);
        const found = new Set<string>();
        let rows = 0;
        for (const { first, count, taps, lastTap, tapStep, base } of phases) {
          rows += count;
          for (let j = 0; j < count; j++) {
            for (let t = 0; t < taps; t++) {
              const o = base + j + t * spacing;
              expect(o).toBeGreaterThanOrEqual(-before);
              expect(o).toBeLessThan(axis.output + after);
              if (o >= 0 && o < axis.output) found.add(`${first + j * axis.stride}<-${o}*${lastTap - t * tapStep}`);
            }
          }
        }
        expect(rows).toBe(axis.input);
        expect([...found].sort()).toEqual([...expected].sort());
      }),
      { numRuns: 500 },
    );
  });

  it('has one phase and the usual full padding for stride 1', () => {
    const { phases, before, after } = axisPhases({ input: 8, output: 8, kernel: 3, stride: 1, dilation: 1, pad: 1 });
    expect(phases).toEqual([{ first: 0, count: 8, taps: 3, lastTap: 2, tapStep: 1, base: -1 }]);
    expect([before, after]).toEqual([1, 1]);
  });
});
