import { inferers } from '../../graph/infer/inferers.ts';
import type { Operator } from '../operator.ts';
import { MEAN, SCALE, SHIFT, VARIANCE } from './common.ts';
import { lazily } from './lazily.ts';

/** BatchNormalization: running statistics in evaluation, the batch's own in training. */
export const normalizations: readonly Operator[] = lazily(
  () => import('./summingPasses.ts'),
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
