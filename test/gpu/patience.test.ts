import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { patientWait } from '../../src/gpu/patience.node.ts';

/** How long after the call the promise is asked for, in milliseconds; undefined when that happens at once. */
async function delayOf(wait: ReturnType<typeof patientWait>): Promise<number | undefined> {
  const start = performance.now();
  let asked: number | undefined;
  const done = wait(async () => {
    asked = performance.now();
  });
  if (asked !== undefined) return undefined;
  await done;
  return asked! - start;
}

describe('waiting for an adapter that is a processor', () => {
  it('sleeps for most of the shortest of the last waits', async () => {
    const wait = patientWait();
    for (const length of [80, 40]) await wait(() => sleep(length));
    expect(await delayOf(wait)).toBeUndefined();
    // That wait was short, and is remembered for three more.
    for (let i = 0; i < 2; i++) await wait(() => sleep(40));
    expect(await delayOf(wait)).toBeUndefined();
    for (let i = 0; i < 8; i++) await wait(() => sleep(40));
    // Timers may fire a little early, and late at any time.
    expect(await delayOf(wait)).toBeGreaterThan(25);
  });

  it('starts anew after it slept too long', async () => {
    const wait = patientWait();
    for (let i = 0; i < 4; i++) await wait(() => sleep(80));
    expect(await delayOf(wait)).toBeGreaterThan(50);
    expect(await delayOf(wait)).toBeUndefined();
  });

  it('asks at once where waits are short', async () => {
    const wait = patientWait();
    for (let i = 0; i < 50; i++) await wait(async () => undefined);
    expect(await delayOf(wait)).toBeUndefined();
  });

  it('hands on what comes of it', async () => {
    const wait = patientWait();
    expect(await wait(async () => 7)).toBe(7);
    await expect(wait(() => Promise.reject(new Error('lost')))).rejects.toThrow('lost');
  });
});
