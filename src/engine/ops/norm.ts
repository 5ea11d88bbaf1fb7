import { inferers } from '../../graph/infer/inferers.ts';
import type { Operator } from '../operator.ts';
import { lazily } from './lazily.ts';

/** Inputs of BatchNormalization. */
export const [X, SCALE, SHIFT, MEAN, VARIANCE] = [0, 1, 2, 3, 4] as const;

/** BatchNormalization: running statistics in evaluation, the batch's own in training. */
export const normalizations: readonly Operator[] = lazily(
  () => import('./normPasses.ts'),
  [
    {
      op: 'BatchNormalization',
      infer: inferers.BatchNormalization!,
      attributes: ['epsilon', 'momentum', 'training_mode'],
      roles: () => ({ [SCALE]: 'norm', [SHIFT]: 'norm', [MEAN]: 'state', [VARIANCE]: 'state' }),
      canBound: true,
    },
  ],
);
