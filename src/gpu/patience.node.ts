import { writeFileSync } from 'node:fs';
import type { Wait } from './gpu.ts';

/** Milliseconds of a wait before the first rest, by default: the end of a short one would be overslept. */
const ALERT = 0.35;
/** Milliseconds that the thread rests between two looks. Systems make more of it; see `shortenRests`. */
const REST = 0.02;
/** Milliseconds in which a brief wait ends without a rest, and with one, which is overslept. */
const BRIEF = { awake: 0.12, rested: 0.13 };
/** Brief waits in a row after which the next one is taken to be as brief. */
const STREAK = 4;

/**
 * Linux lets timers be 50 µs late, so that several of them wake a processor once: a rest takes a tenth of a millisecond
 * then, and half of that without (what takes 0.4 to 1 ms is done 1.05 to 1.1 times sooner). Of the process's first thread,
 * which is that of JavaScript; left as it is where the system has no such thing.
 */
export function shortenRests(): void {
  try {
    writeFileSync('/proc/self/timerslack_ns', '1');
  } catch {
    // not Linux, or not allowed: rests are longer, nothing else
  }
}

/**
 * Dawn's binding polls from the JavaScript thread, turn after turn of the event loop, for as long as a promise is pending.
 * Where the adapter is a processor, that takes a core from the shaders (even at the lowest priority: the scheduler, seeing
 * a busy core, puts two workers of the adapter on the other one). So every turn rests for a moment while something is
 * waited for: too short for anyone to notice, long enough to leave the core to the adapter. After some brief waits the next one
 * begins without rests: a third of what a replay and its end take, where the adapter itself takes 0.02 ms.
 * @param alert milliseconds before the first rest
 */
export function patientWait(alert = ALERT): Wait {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let pending = 0;
  let since = 0;
  let turning = false;
  let streak = 0;
  let limit = alert;
  const turn = () => {
    turning = pending > 0;
    if (!turning) return;
    if (performance.now() - since >= limit) Atomics.wait(cell, 0, 0, REST);
    setImmediate(turn);
  };
  return async (ask) => {
    const promise = ask();
    pending++;
    since = performance.now();
    const isAwake = streak >= STREAK;
    limit = isAwake ? Math.max(alert, BRIEF.awake) : alert;
    if (!turning) {
      turning = true;
      setImmediate(turn);
    }
    try {
      return await promise;
    } finally {
      pending--;
      const isBrief = performance.now() - since < (isAwake ? BRIEF.awake : BRIEF.rested);
      streak = isBrief ? streak + 1 : 0;
    }
  };
}
