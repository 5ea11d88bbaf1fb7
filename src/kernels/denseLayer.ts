import { conv } from './conv.ts';
import { denseProduct } from './denseProduct.ts';
import { type DenseWeights, packingDense } from './denseWeights.ts';
import { floats, floatsOut, type LayerFamily } from './layerFamily.ts';
import type { PackedOperand } from './packedOperand.ts';

/** Every weight as a code or a half-precision float, unpacked in registers. */
export const denseLayer: LayerFamily = {
  packing: (matrix) => packingDense(matrix),
  product(recorder, call) {
    denseProduct(recorder, { ...call, weights: call.weights as PackedOperand<DenseWeights>, x: floats(call) });
  },
  conv(recorder, call) {
    conv(recorder, {
      ...call,
      weights: call.weights as PackedOperand<DenseWeights>,
      x: floats(call),
      out: floatsOut(call),
    });
  },
};
