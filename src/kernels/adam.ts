import type { BufferSlice } from '../gpu/buffers.ts';
import { adamShader } from './generated/train.ts';
import type { Operand, Recorder } from './kernel.ts';
import type { Args } from './shader.ts';
import { spreadConstant } from './spread.ts';
import { checkUpdate, type UpdateOperands } from './updateOperands.ts';

export { adamShader };

export interface AdamSettings {
  rate: number;
  /** Number of this step, from 1. */
  step: number;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  /** Adam: decay·w is added to the gradient. AdamW: rate·decay·w is taken off the weight. */
  decay?: number;
  /** Used where a norm is given. */
  maxNorm?: number;
}

/** The arguments of `adam`, bias corrections included, for a `DynamicArgs` of `adamShader`. */
export function adamArgs(settings: AdamSettings): Args<typeof adamShader> {
  const { rate, step, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 0, maxNorm = 0 } = settings;
  if (!(step >= 1)) throw new Error(`Adam's steps are numbered from 1, not ${step}`);
  return {
    rate,
    beta1,
    beta2,
    rest1: 1 - beta1,
    rest2: 1 - beta2,
    correction1: 1 / (1 - beta1 ** step),
    correction2: 1 / Math.sqrt(1 - beta2 ** step),
    epsilon,
    decay,
    max_norm: maxNorm,
  };
}

export interface AdamOptions extends UpdateOperands {
  moment1: Operand<'f32'>;
  moment2: Operand<'f32'>;
  /** AdamW (Loshchilov & Hutter 2019) rather than Adam with decay in the gradient. */
  decoupled?: boolean;
  args: Args<typeof adamShader> | BufferSlice;
}

/** One step of torch.optim.Adam or AdamW over a range of the arena. Pruned weights stay exactly 0. */
export function adam(recorder: Recorder, options: AdamOptions): void {
  const { weights, gradients, moment1, moment2, mask, segments, multipliers, norm, decoupled = false, args } = options;
  checkUpdate('adam', options, [moment1, moment2]);
  const { tunables, workgroups } = spreadConstant(recorder.capabilities, weights.elements / 4);
  recorder.dispatch(adamShader, {
    operands: {
      weights,
      gradients,
      moment1,
      moment2,
      mask: mask ?? segments,
      segments,
      multipliers,
      norm: norm ?? multipliers,
    },
    args,
    tunables: { ...tunables, DECOUPLED: decoupled, MASKED: mask !== undefined, CLIP: norm !== undefined },
    workgroups,
    label: decoupled ? 'adamw' : 'adam',
  });
}
