import { inferers } from '../../graph/infer/inferers.ts';
import type { Operator } from '../operator.ts';
import { lazily } from './lazily.ts';

export const reductions: readonly Operator[] = lazily(
  () => import('./summingPasses.ts'),
  [{ op: 'ReduceMean', infer: inferers.ReduceMean!, attributes: ['keepdims', 'noop_with_empty_axes'] }],
);
