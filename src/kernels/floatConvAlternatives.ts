import { convAlternatives } from './convAlternatives.ts';
import type { ConvAlternatives } from './convCall.ts';
import { pointwise } from './pointwise.ts';
import { productAlternatives } from './productAlternatives.ts';

const asProduct = pointwise(productAlternatives);

/** All ways that are faster for some convolutions with float32 weights, for those who have no reason to load them one by one. */
export const floatConvAlternatives: ConvAlternatives = (...convolution) => {
  return asProduct(...convolution) || convAlternatives(...convolution);
};
