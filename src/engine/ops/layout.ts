import { inferers } from '../../graph/infer/inferers.ts';
import type { Operator } from '../operator.ts';
import { checkRank } from './common.ts';
import { lazily } from './lazily.ts';

/** Operators that move elements about without changing them, by their ONNX definitions. */
export const layouts: readonly Operator[] = lazily(
  () => import('./movingPasses.ts'),
  [
    { op: 'Transpose', infer: inferers.Transpose!, attributes: ['perm'], check: checkRank },
    { op: 'Slice', infer: inferers.Slice!, attributes: [], check: checkRank },
    { op: 'Concat', infer: inferers.Concat!, attributes: ['axis'] },
  ],
);
