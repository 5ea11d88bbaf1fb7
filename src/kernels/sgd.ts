import type { BufferSlice } from '../gpu/buffers.ts';
import { sgdShader } from './generated/train.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { Args } from './shader.ts';
import { spreadConstant } from './spread.ts';
import { checkUpdate, type UpdateOperands } from './updateOperands.ts';

export { sgdShader };

export interface SgdSettings {
  rate: number;
  momentum?: number;
  /** Coupled weight decay: decay·w is added to the gradient. */
  decay?: number;
  /** Used where a norm is given. */
  maxNorm?: number;
}

/** The arguments of `sgd`, for a `DynamicArgs` of `sgdShader`. */
export function sgdArgs({ rate, momentum = 0, decay = 0, maxNorm = 0 }: SgdSettings): Args<typeof sgdShader> {
  return { rate, momentum, decay, max_norm: maxNorm };
}

export interface SgdOptions extends UpdateOperands {
  momentum: Operand<'f32'>;
  nesterov?: boolean;
  args: Args<typeof sgdShader> | BufferSlice;
}

/** One step of torch.optim.SGD (dampening 0) over a range of the arena. Pruned weights stay exactly 0. */
export function sgd(recorder: Recorder, options: SgdOptions): void {
  const { weights, gradients, momentum, mask, segments, multipliers, norm, nesterov = false, args } = options;
  checkUpdate('sgd', options, [momentum]);
  const { tunables, workgroups } = spreadConstant(recorder.capabilities, weights.elements / 4);
  recorder.dispatch(sgdShader, {
    operands: {
      weights,
      gradients,
      momentum,
      mask: mask ?? segments,
      segments,
      multipliers,
      norm: norm ?? multipliers,
    },
    args,
    tunables: { ...tunables, NESTEROV: nesterov, MASKED: mask !== undefined, CLIP: norm !== undefined },
    workgroups,
    label: 'sgd',
  });
}
