/** Ctrl-C. A command that has something to keep stops by itself; any other ends at once, having written nothing. */

export const INTERRUPTED = 130;

/** Thrown after a clean stop: the message says how to go on. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

/**
 * Runs `use` with a signal that Ctrl-C (or a TERM) sets; a second one ends the process.
 * @throws Interrupted with `message` where `use` stopped for it
 */
export async function untilInterrupted<T>(use: (signal: AbortSignal) => Promise<T>, message: string): Promise<T> {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await use(controller.signal);
  } catch (error) {
    if (controller.signal.aborted && error === controller.signal.reason) throw new Interrupted(message);
    throw error;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** For the time when no command listens. */
export function exitOnInterrupt(): void {
  process.on('SIGINT', () => {
    if (process.listenerCount('SIGINT') === 1) process.exit(INTERRUPTED);
  });
}
