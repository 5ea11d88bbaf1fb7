import type { BufferSlice } from '../gpu/buffers.ts';
import { checkCompanion, SEGMENT } from './arena.ts';
import { accumulateImportanceShader } from './generated/prune.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { Args } from './shader.ts';
import { spreadConstant } from './spread.ts';

export { accumulateImportanceShader };

/**
 * How much a weight w with the gradient g matters; the lower are pruned first.
 * - `magnitude`: |w| (Han et al. 2015). Needs no gradient, and sets the scores.
 * - `gradient`: Σ|g|, the plain first-order sensitivity (Mozer & Smolensky 1989).
 * - `taylor`: Σ|w·g| (Molchanov et al. 2017).
 * - `fisher`: Σg²; `finishImportance` makes w²·E[g²]/2 of it (LeCun et al. 1990, Theis et al. 2018).
 */
export const IMPORTANCE = { magnitude: 0, gradient: 1, taylor: 2, fisher: 3 } as const;
export type ImportanceKind = keyof typeof IMPORTANCE;
const FINISH_FISHER = 4;

export interface AccumulateImportanceOptions {
  kind: ImportanceKind;
  /** A range of the arena, whole segments. */
  weights: Operand<'f32'>;
  /** May be left out for `magnitude`. */
  gradients?: Operand<'f32'>;
  /** Added to (set, for `magnitude`). */
  scores: Operand<'f32'>;
  /** Factor of what is added: 1/steps makes a mean. Default 1. */
  weight?: number;
  /** `{ weight }` in a buffer that changes between replays, instead. */
  args?: Args<typeof accumulateImportanceShader> | BufferSlice;
}

/** Adds one step's importance of every weight to its score. */
export function accumulateImportance(recorder: Recorder, options: AccumulateImportanceOptions): void {
  const { kind, weights, gradients, scores, weight = 1, args = { weight } } = options;
  if (kind !== 'magnitude' && !gradients) throw new Error(`Importance by ${kind} needs gradients`);
  record(recorder, { kind: IMPORTANCE[kind], weights, gradients: gradients ?? weights, scores, args, label: kind });
}

/**
 * Ends the accumulation of `fisher`: w²·(weight·Σg²)/2, with `weight` one over the number of steps. The other kinds are
 * scores as they are.
 */
export function finishImportance(
  recorder: Recorder,
  { weights, scores, weight }: { weights: Operand<'f32'>; scores: Operand<'f32'>; weight: number },
): void {
  record(recorder, { kind: FINISH_FISHER, weights, gradients: weights, scores, args: { weight }, label: 'fisher' });
}

function record(
  recorder: Recorder,
  call: {
    kind: number;
    weights: Operand<'f32'>;
    gradients: Operand<'f32'>;
    scores: Operand<'f32'>;
    args: Args<typeof accumulateImportanceShader> | BufferSlice;
    label: string;
  },
): void {
  const { kind, weights, gradients, scores, args, label } = call;
  const { elements } = scores;
  if (elements % SEGMENT !== 0) throw new Error(`Importance: ${elements} scores are no whole segments of ${SEGMENT}`);
  checkCompanion('Importance: the weights', weights.elements, elements, 'values');
  checkCompanion('Importance: the gradients', gradients.elements, elements, 'values');
  const { tunables, workgroups } = spreadConstant(recorder.capabilities, elements / 4);
  recorder.dispatch(accumulateImportanceShader, {
    operands: { weights, gradients, scores },
    args,
    tunables: { ...tunables, KIND: kind },
    workgroups,
    label: `importance: ${label}`,
  });
}
