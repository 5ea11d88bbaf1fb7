import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { patientWait } from '../../src/gpu/patience.node.ts';

/** Processor time of this thread over a wait in which the event loop is kept turning, as Dawn does; a share of the wait. */
async function load(wait: <T>(ask: () => Promise<T>) => Promise<T>, milliseconds: number): Promise<number> {
  let waiting = true;
  const poll = () => {
    if (waiting) setImmediate(poll);
  };
  poll();
  const start = performance.now();
  const cpu = process.cpuUsage();
  await wait(() => sleep(milliseconds));
  waiting = false;
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / 1000 / (performance.now() - start);
}

async function inTurn(times: number, measure: () => Promise<number>): Promise<number[]> {
  const measured: number[] = [];
  for (let i = 0; i < times; i++) measured.push(await measure());
  return measured;
}

describe('waiting for an adapter that is a processor', () => {
  it('leaves the processor to it', async () => {
    // The best of some, for the machine may be busy.
    const busy = Math.max(...(await inTurn(3, () => load((ask) => ask(), 100))));
    const patient = Math.min(...(await inTurn(3, () => load(patientWait(), 100))));
    expect(busy).toBeGreaterThan(0.2);
    expect(patient).toBeLessThan(busy / 2);
  });

  /** Lateness, in milliseconds, of waits for what ends after so many: the third best of twenty, for the machine may be busy. */
  async function lateness(wait: ReturnType<typeof patientWait>, milliseconds: number): Promise<number> {
    const late: number[] = [];
    for (let i = 0; i < 20; i++) {
      const due = performance.now() + milliseconds;
      await wait(
        () =>
          new Promise<void>((resolve) => {
            const poll = () => (performance.now() >= due ? resolve() : setImmediate(poll));
            poll();
          }),
      );
      late.push(performance.now() - due);
    }
    return late.sort((a, b) => a - b)[2]!;
  }

  it.each([0, 1, 5])('notices the end of %i ms soon', async (milliseconds) => {
    expect(await lateness(patientWait(), milliseconds)).toBeLessThan(1);
    expect(await lateness(patientWait(0), milliseconds)).toBeLessThan(1);
  });

  it('looks more often after some brief waits, and rests again after a long one', async () => {
    const wait = patientWait(0);
    /** Looks at the clock in a wait of so many milliseconds; the most of some such waits, for the machine may be busy. */
    const looks = async (milliseconds: number, waits: number) => {
      const counts: number[] = [];
      for (let i = 0; i < waits; i++) {
        const due = performance.now() + milliseconds;
        let count = 0;
        await wait(
          () =>
            new Promise<void>((resolve) => {
              const poll = () => {
                count++;
                if (performance.now() >= due) resolve();
                else setImmediate(poll);
              };
              poll();
            }),
        );
        counts.push(count);
      }
      return Math.max(...counts);
    };
    const rested = await looks(0.04, 3);
    await looks(0.001, 50);
    expect(await looks(0.04, 20)).toBeGreaterThan(2 * rested);
    await looks(5, 1);
    expect(await looks(0.04, 3)).toBeLessThanOrEqual(rested + 2);
  });

  it('rests no more once nothing is waited for', async () => {
    const wait = patientWait();
    await Promise.all([wait(() => sleep(5)), wait(() => sleep(10))]);
    await sleep(1);
    let turns = 0;
    const end = performance.now() + 20;
    while (performance.now() < end) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      turns++;
    }
    // With a rest in each, of more than 0.05 ms, there would be fewer.
    expect(turns).toBeGreaterThan(400);
  });

  it('hands on what comes of it', async () => {
    const wait = patientWait();
    expect(await wait(async () => 7)).toBe(7);
    await expect(wait(() => Promise.reject(new Error('lost')))).rejects.toThrow('lost');
  });
});
