import { batchedMatmul } from './batchedMatmul.ts';
import { conv, padInput } from './conv.ts';
import { matmul, matrix } from './matmul.ts';
import { pointwise } from './pointwise.ts';

/**
 * The kernels of layers whose weights are float32: a module of its own, like those of the packed forms, because a page
 * whose layers are all packed does without.
 */
export const floatLayer = { batchedMatmul, conv, matmul, matrix, padInput, pointwise };

export type FloatLayer = typeof floatLayer;
