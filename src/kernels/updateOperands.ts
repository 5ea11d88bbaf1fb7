import { checkCompanion, RATE_GROUPS, SEGMENT } from './arena.ts';
import type { Operand } from './kernel.ts';

/** What every optimizer reads: one range of the weights' arena (see `arenaRanges`) and its companions. */
export interface UpdateOperands {
  /** Whole segments. */
  weights: Operand<'f32'>;
  gradients: Operand<'f32'>;
  /** One bit per weight, 1 keeps; everything is kept where absent. */
  mask?: Operand<'u32'>;
  /** From `segmentTable`. */
  segments: Operand<'u32'>;
  /** [16]: multipliers of the learning rate by group. */
  multipliers: Operand<'f32'>;
  /** [1], from `globalNorm`: gradients are scaled down to `maxNorm`, as torch.nn.utils.clip_grad_norm_. */
  norm?: Operand<'f32'>;
}

export function checkUpdate(kernel: string, operands: UpdateOperands, moments: readonly Operand<'f32'>[]): void {
  const { elements } = operands.weights;
  if (elements % SEGMENT !== 0) throw new Error(`${kernel}: ${elements} weights are no whole segments of ${SEGMENT}`);
  for (const values of [operands.gradients, ...moments]) {
    checkCompanion(`${kernel}: a companion`, values.elements, elements, 'values');
  }
  if (operands.mask) checkCompanion(`${kernel}: the mask`, operands.mask.elements, elements, 'mask');
  checkCompanion(`${kernel}: the segment table`, operands.segments.elements, elements, 'segments');
  if (operands.multipliers.elements < RATE_GROUPS) throw new Error(`${kernel} needs ${RATE_GROUPS} multipliers`);
}
