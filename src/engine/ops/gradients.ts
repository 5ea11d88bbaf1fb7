import type { BackwardContext, Gradients } from '../operator.ts';
import { activationGradients } from './activations.ts';
import { arithmeticGradients } from './binary.ts';
import { convolutionGradients } from './conv.ts';
import { fakeQuantizeGradients } from './fakeQuantize.ts';
import { gatherGradients } from './gatherPasses.ts';
import { denseGradients } from './gemm.ts';
import { layoutGradients } from './layoutPasses.ts';
import { productGradients } from './matmul.ts';
import { normalizationGradients } from './normPasses.ts';
import { padGradients } from './padPasses.ts';
import { poolGradients } from './pool.ts';
import { reductionGradients } from './reducePasses.ts';
import { softmaxGradients } from './softmaxPasses.ts';
import { viewGradients } from './views.ts';

/** Gradients by operator: the backward halves of the modules in `index.ts`. Only what trains may import this. */
const gradients: Gradients = {
  ...activationGradients,
  ...normalizationGradients,
  ...poolGradients,
  ...layoutGradients,
  ...padGradients,
  ...gatherGradients,
  ...arithmeticGradients,
  ...convolutionGradients,
  ...denseGradients,
  ...productGradients,
  ...softmaxGradients,
  ...reductionGradients,
  ...viewGradients,
  ...fakeQuantizeGradients,
};

/** Undefined where the operator passes no gradient on. */
export function findGradient(op: string): ((context: BackwardContext) => void) | undefined {
  return Object.hasOwn(gradients, op) ? gradients[op] : undefined;
}
