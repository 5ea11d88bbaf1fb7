import { inferers } from '../../graph/infer/inferers.ts';
import type { Operator } from '../operator.ts';
import { checkRank } from './common.ts';
import { lazily } from './lazily.ts';

/** Pad in all of ONNX's modes; negative pads cut off. */
export const pads: readonly Operator[] = lazily(
  () => import('./movingPasses.ts'),
  [{ op: 'Pad', infer: inferers.Pad!, attributes: ['mode'], check: checkRank }],
);
