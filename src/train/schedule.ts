/** How the learning rate goes over a training stage. Steps count from 0. */
export type Schedule =
  | { kind: 'constant'; warmupSteps?: number }
  /** Times `gamma` after each of these fractions of the stage (0.5, 0.75, …). */
  | { kind: 'step'; milestones: readonly number[]; gamma?: number; warmupSteps?: number }
  /** From the base rate to `final` (a fraction of it) along half a cosine: Loshchilov & Hutter 2017, SGDR, one cycle. */
  | { kind: 'cosine'; final?: number; warmupSteps?: number };

/**
 * The learning rate of step `step` of `total`. During warm-up it rises linearly, so that step 0 takes
 * base / warmupSteps; the schedule proper covers the rest.
 */
export function learningRate(base: number, schedule: Schedule, step: number, total: number): number {
  const warmup = Math.min(schedule.warmupSteps ?? 0, total);
  if (step < warmup) return (base * (step + 1)) / warmup;
  const progress = total > warmup ? (step - warmup) / (total - warmup) : 1;
  switch (schedule.kind) {
    case 'constant':
      return base;
    case 'step':
      return base * (schedule.gamma ?? 0.1) ** schedule.milestones.filter((milestone) => progress >= milestone).length;
    case 'cosine': {
      const final = schedule.final ?? 0;
      return base * (final + (1 - final) * 0.5 * (1 + Math.cos(Math.PI * progress)));
    }
  }
}
