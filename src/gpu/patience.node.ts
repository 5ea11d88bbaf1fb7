import type { Wait } from './gpu.ts';

/** Milliseconds of a wait before the first rest, by default: the end of a short one would be overslept. */
const ALERT = 0.35;
/** Milliseconds that the thread rests between two looks. Systems make a tenth of a millisecond of it. */
const REST = 0.02;

/**
 * Dawn's binding polls from the JavaScript thread, turn after turn of the event loop, for as long as a promise is pending.
 * Where the adapter is a processor, that takes a core from the shaders (even at the lowest priority: the scheduler, seeing
 * a busy core, puts two workers of the adapter on the other one). So every turn rests for a moment while something is
 * waited for: too short for anyone to notice, long enough to leave the core to the adapter.
 * @param alert milliseconds before the first rest
 */
export function patientWait(alert = ALERT): Wait {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let pending = 0;
  let since = 0;
  let turning = false;
  const turn = () => {
    turning = pending > 0;
    if (!turning) return;
    if (performance.now() - since >= alert) Atomics.wait(cell, 0, 0, REST);
    setImmediate(turn);
  };
  return async (ask) => {
    const promise = ask();
    pending++;
    since = performance.now();
    if (!turning) {
      turning = true;
      setImmediate(turn);
    }
    try {
      return await promise;
    } finally {
      pending--;
    }
  };
}
