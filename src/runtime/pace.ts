/** Longest stretch of work without a pause, ms: a third of a frame at 60 Hz, so that the page gets the rest. */
const STRETCH = 5;

type Scheduler = { scheduler?: { yield?: () => Promise<void> } };

/** When the page last had its turn, as far as we know; one for all models that are being loaded. */
let since = Number.NEGATIVE_INFINITY;

/**
 * Lets the page draw and react: call between pieces of work that take well below a frame each. Pauses where enough time
 * has passed.
 */
export async function pause(): Promise<void> {
  if (performance.now() - since < STRETCH) return;
  await ((globalThis as Scheduler).scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve, 0)));
  since = performance.now();
}
