import { activationReferences } from './activations.ts';
import { binaryReferences } from './binary.ts';
import { layoutReferences } from './layout.ts';
import { batchNormReferences } from './norm.ts';
import { poolReferences } from './pool.ts';
import { productReferences } from './products.ts';
import { reductionReferences } from './reduce.ts';
import type { Reference } from './reference.ts';
import { normalizationReferences } from './softmax.ts';
import { viewReferences } from './views.ts';

/** Float64 references by operator. A new family is one module beside this one and one line here. */
export const references: Readonly<Record<string, Reference>> = {
  ...activationReferences,
  ...binaryReferences,
  ...layoutReferences,
  ...batchNormReferences,
  ...poolReferences,
  ...normalizationReferences,
  ...productReferences,
  ...reductionReferences,
  ...viewReferences,
};
