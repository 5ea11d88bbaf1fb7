import type { Operator } from '../operator.ts';
import { activations } from './activations.ts';

/** Every module of operators. A new operator is one module and one entry here. */
export const operatorModules: readonly (readonly Operator[])[] = [activations];
