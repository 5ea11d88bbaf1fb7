import { checkCompanion, SEGMENT } from './arena.ts';
import { applyMaskShader } from './generated/prune/applyMask.ts';
import { grid, type Operand, type Recorder } from './kernel.ts';

const WG = 64;

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
    tunables: { WG },
    workgroups: grid(values.elements / 4, WG),
    label: 'apply mask',
  });
}
