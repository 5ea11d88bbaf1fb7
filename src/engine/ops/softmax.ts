import { inferers } from '../../graph/infer/inferers.ts';
import type { Operator } from '../operator.ts';
import { lazily } from './lazily.ts';

export const softmaxes: readonly Operator[] = lazily(
  () => import('./summingPasses.ts'),
  ['Softmax', 'LogSoftmax'].map((op) => ({ op, infer: inferers[op]!, attributes: ['axis'] })),
);
