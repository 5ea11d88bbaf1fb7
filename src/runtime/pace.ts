/** Longest stretch of work without a pause, ms: half of a frame at 60 Hz, so that the page gets the other half. */
const STRETCH = 8;

type Scheduler = { scheduler?: { yield?: () => Promise<void> } };

/** Lets the page draw and react between pieces of work. */
export class Pace {
  #since = performance.now();

  /** Call between pieces of work that take well below a frame each; pauses where enough time has passed. */
  async pause(): Promise<void> {
    if (performance.now() - this.#since < STRETCH) return;
    await ((globalThis as Scheduler).scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve, 0)));
    this.#since = performance.now();
  }
}
