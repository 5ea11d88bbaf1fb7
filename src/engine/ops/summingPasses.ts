import type { Forwards } from './lazily.ts';
import { forwards as norm } from './normPasses.ts';
import { forwards as reduce } from './reducePasses.ts';
import { forwards as softmax } from './softmaxPasses.ts';

/** Operators that sum over axes, as one module to fetch. */
export const forwards: Forwards = { ...norm, ...reduce, ...softmax };
