import { inferers } from '../../graph/infer/inferers.ts';
import type { Operator } from '../operator.ts';
import { lazily } from './lazily.ts';

/** Gather of data at indices that are known beforehand; where they are computed from data, the node is refused. */
export const gathers: readonly Operator[] = lazily(
  () => import('./movingPasses.ts'),
  [{ op: 'Gather', infer: inferers.Gather!, attributes: ['axis'] }],
);
