import type { Operator } from '../operator.ts';
import { activations } from './activations.ts';
import { arithmetic } from './binary.ts';
import { convolutions } from './conv.ts';
import { fakeQuantize } from './fakeQuantize.ts';
import { gathers } from './gather.ts';
import { denseLayers } from './gemm.ts';
import { layouts } from './layout.ts';
import { matrixProducts } from './matmul.ts';
import { normalizations } from './norm.ts';
import { pads } from './pad.ts';
import { poolings } from './pool.ts';
import { reductions } from './reduce.ts';
import { softmaxes } from './softmax.ts';
import { views } from './views.ts';

/** Every module of operators. A new operator is one module and one entry here, and one in `gradients.ts`. */
export const operatorModules: readonly (readonly Operator[])[] = [
  activations,
  normalizations,
  poolings,
  layouts,
  pads,
  gathers,
  arithmetic,
  convolutions,
  denseLayers,
  matrixProducts,
  softmaxes,
  reductions,
  views,
  fakeQuantize,
];
