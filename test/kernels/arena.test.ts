import { describe, expect, it } from 'vitest';
import { arenaRanges, arenaSlice, companionLength, segmentTable } from '../../src/kernels/arena.ts';

describe('arenaRanges', () => {
  it.each([
    [64, 1 << 27, 1],
    [1 << 20, 1 << 22, 1],
    [(1 << 20) + 64, 1 << 22, 2],
    [100_032, 50_000, 9],
  ])('covers %i elements in bindings of %i bytes with %i ranges', (elements, bytes, count) => {
    const ranges = arenaRanges(elements, bytes);
    expect(ranges).toHaveLength(count);
    let next = 0;
    for (const range of ranges) {
      expect(range.start).toBe(next);
      expect(range.elements * 4).toBeLessThanOrEqual(bytes);
      next += range.elements;
      const whole = { buffer: {} as GPUBuffer, offset: 0, size: 0 };
      for (const kind of ['values', 'mask', 'segments'] as const) {
        const { offset, size } = arenaSlice(whole, range, kind);
        expect(offset % 256).toBe(0);
        expect(size).toBe(4 * companionLength(range.elements, kind));
      }
    }
    expect(next).toBe(elements);
  });

  it('refuses bindings that hold nothing', () => expect(() => arenaRanges(64, 1000)).toThrow('1000 bytes'));
});

it('fills the segment table', () => {
  const table = segmentTable(320, [
    { offset: 0, elements: 65, decays: true, group: 3 },
    { offset: 192, elements: 1, trainable: false },
    { offset: 256, elements: 64 },
  ]);
  expect(Array.from(table)).toEqual([0x303, 0x303, 0, 0, 1]);
  expect(() => segmentTable(64, [{ offset: 32, elements: 1 }])).toThrow('does not fit');
  expect(() => segmentTable(64, [{ offset: 0, elements: 65 }])).toThrow('does not fit');
  expect(() => segmentTable(64, [{ offset: 0, elements: 1, group: 16 }])).toThrow('group 16');
});
