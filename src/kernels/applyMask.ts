import { checkCompanion, SEGMENT } from './arena.ts';
import { applyMaskShader } from './generated/prune.ts';
import type { Operand, Recorder } from './kernel.ts';
import { spreadConstant } from './spread.ts';

/** Sets the values whose mask bit is 0 to +0: weights after pruning, and their momentum. */
export function applyMask(
  recorder: Recorder,
  { mask, values }: { mask: Operand<'u32'>; values: Operand<'f32'> },
): void {
  if (values.elements % SEGMENT !== 0) throw new Error(`applyMask: ${values.elements} values are no whole segments`);
  checkCompanion('applyMask: the mask', mask.elements, values.elements, 'mask');
  recorder.dispatch(applyMaskShader, {
    operands: { mask, values },
    args: undefined,
    ...spreadConstant(recorder.capabilities, values.elements / 4),
    label: 'apply mask',
  });
}
