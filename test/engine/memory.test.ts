import { describe, expect, it } from 'vitest';
import { boundBytes, planMemory } from '../../src/engine/memory.ts';
import type { Storage } from '../../src/engine/value.ts';
import { random } from '../support/numbers.ts';

/** Written by command `first`, read by the others. */
function storage(bytes: number, first: number, ...reads: number[]): Storage {
  const uses = new Map([[first, true], ...reads.map((at): [number, boolean] => [at, false])]);
  return { label: `${bytes}`, bytes, first, last: reads.at(-1) ?? first, uses };
}

/** Commands that read a few storages and write one or two, as a network's do. */
function program(seed: number): Storage[] {
  const next = random(seed);
  const whole = (low: number, high: number) => Math.floor(next(low, high));
  const storages: Storage[] = [];
  for (let at = 0; at < 40; at++) {
    for (const read of storages.filter(() => next() < 0.2).slice(-3)) {
      read.last = Math.max(read.last, at);
      read.uses.set(at, false);
    }
    const written = Array.from({ length: whole(1, 3) }, () => storage(whole(1, 5000), at));
    // Some are read after the end.
    for (const one of written) if (next() < 0.15) one.last = Number.POSITIVE_INFINITY;
    storages.push(...written);
  }
  return storages;
}

const alignment = 256;

describe('the memory planner', () => {
  it('lets nothing overlap in time and place, and nothing read lie beside something written', () => {
    for (let seed = 0; seed < 60; seed++) {
      const storages = program(seed);
      const { sizes, placement, unshared } = planMemory(storages, alignment);
      let most = 0;
      for (const a of storages) {
        const at = placement.get(a)!;
        expect(at.offset % alignment).toBe(0);
        expect(at.offset + boundBytes(a.bytes)).toBeLessThanOrEqual(boundBytes(sizes[at.buffer]!));
        let live = 0;
        for (const b of storages) {
          const isAlive = b.first <= a.first && a.first <= b.last;
          if (isAlive) live += b.bytes;
          const other = placement.get(b)!;
          if (a === b || at.buffer !== other.buffer || a.last < b.first || b.last < a.first) continue;
          for (const [command, writes] of a.uses) expect(b.uses.get(command)).not.toBe(!writes);
          const isApart =
            at.offset + boundBytes(a.bytes) <= other.offset || other.offset + boundBytes(b.bytes) <= at.offset;
          expect(isApart).toBe(true);
        }
        most = Math.max(most, live);
      }
      const planned = sizes.reduce((sum, size) => sum + size, 0);
      expect(planned).toBeGreaterThanOrEqual(most);
      expect(planned).toBeLessThanOrEqual(unshared);
      expect(unshared).toBe(storages.reduce((sum, { bytes }) => sum + bytes, 0));
    }
  });

  it('puts what is read together side by side, and what is read and written apart', () => {
    const [large, a, b, out] = [storage(4096, 0), storage(1000, 1, 3), storage(1000, 2, 3), storage(1000, 3)];
    // Neither is read where the other is written.
    const { sizes, placement } = planMemory([large, a, b, out], alignment);
    expect(sizes).toEqual([4096, 1000]);
    expect(placement.get(a)).toEqual({ buffer: 0, offset: 0 });
    expect(placement.get(b)).toEqual({ buffer: 0, offset: 1024 });
    expect(placement.get(out)).toEqual({ buffer: 1, offset: 0 });
  });

  it('takes the first gap that is large enough', () => {
    const [large, first, second, third] = [
      storage(8192, 0),
      storage(2048, 1, 9),
      storage(1024, 2, 3),
      storage(1024, 4, 9),
    ];
    const late = storage(512, 5, 6);
    const { sizes, placement } = planMemory([large, first, second, third, late], alignment);
    expect(sizes).toEqual([8192]);
    expect(placement.get(third)?.offset).toBe(2048);
    expect(placement.get(late)?.offset).toBe(3072);
  });
});
