import { setTimeout as sleep } from 'node:timers/promises';
import type { Wait } from './gpu.ts';

/** Waits that the length of the next one is judged by. */
const REMEMBERED = 4;
/** Fewer say nothing of the next one. */
const LEAST = 3;
/** Of the shortest of them. The rest is polled for, so that the end of a wait is not overslept. */
const SHARE = 0.75;
/** Milliseconds after a sleep within which a promise that resolves had been kept waiting. */
const AT_ONCE = 0.3;

/**
 * Dawn's binding polls from the JavaScript thread for as long as a promise is pending. Where the adapter is a processor,
 * that thread takes a core from the shaders (even at the lowest priority: the scheduler, seeing a busy core, puts two
 * workers of the adapter on the other one). So it sleeps first, for most of the shortest of the last waits, and asks for
 * the promise only then. Short waits, below what a timer can measure, are polled for from the start. After a sleep that was
 * too long it knows nothing any more: its own length would be taken for the wait's.
 */
export function patientWait(): Wait {
  const waits: number[] = [];
  return async (ask) => {
    const start = performance.now();
    const nap = waits.length >= LEAST ? Math.floor(SHARE * Math.min(...waits)) : 0;
    if (nap >= 1) await sleep(nap);
    const asked = performance.now();
    const result = await ask();
    const end = performance.now();
    if (nap >= 1 && end - asked < AT_ONCE) waits.length = 0;
    else waits.push(end - start);
    if (waits.length > REMEMBERED) waits.shift();
    return result;
  };
}
