import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { walkChannels } from '../../src/kernels/channels.ts';

describe('walkChannels', () => {
  const cpu = { kind: 'cpu', maxInvocations: 256 } as const;
  const gpu = { kind: 'gpu', maxInvocations: 1024 } as const;

  it('covers every channel exactly, by steps that land on the right address', () => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.integer({ min: 1, max: 9 }),
          c: fc.integer({ min: 1, max: 7 }),
          plane: fc.nat({ max: 300 }),
        }),
        fc.boolean(),
        fc.boolean(),
        ({ n, c, plane: p }, onCpu, reduction) => {
          const plane = p + 1;
          const { wg, lanes, args } = walkChannels(onCpu ? cpu : gpu, { n, c, plane }, { reduction });
          expect(args.count * lanes).toBe(n * plane);
          expect((args.splits - 1) * args.span).toBeLessThan(args.count);
          expect(args.splits * args.span).toBeGreaterThanOrEqual(args.count);
          // The walk of one lane of one split, as the shaders do it.
          for (const i of [0, Math.min(wg - 1, args.count - 1)]) {
            let at = Math.floor(i / args.plane) * c * args.plane + (i % args.plane);
            let inPlane = i % args.plane;
            for (let j = i; j < args.count; j += wg) {
              expect(at).toBe(Math.floor(j / args.plane) * c * args.plane + (j % args.plane));
              inPlane += args.step_rest;
              at += args.step_at;
              if (inPlane >= args.plane) {
                inPlane -= args.plane;
                at += args.wrap;
              }
            }
          }
        },
      ),
    );
  });

  it('gives a GPU many workgroups and a CPU few', () => {
    const shape = { n: 64, c: 16, plane: 1024 };
    const many = walkChannels(gpu, shape, { reduction: true }).args.splits * shape.c;
    const few = walkChannels(cpu, shape, { reduction: true }).args.splits * shape.c;
    expect(many).toBeGreaterThanOrEqual(128);
    expect(few).toBeLessThanOrEqual(64);
  });

  it('lets no lane sum more than 512 units', () => {
    for (const capabilities of [cpu, gpu]) {
      const { wg, args } = walkChannels(capabilities, { n: 4096, c: 1, plane: 784 }, { reduction: true });
      expect(args.span / wg).toBeLessThanOrEqual(513);
    }
  });
});
