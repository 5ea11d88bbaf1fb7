import { floats, floatsOut, type LayerFamily } from './layerFamily.ts';
import type { PackedOperand } from './packedOperand.ts';
import { packingBlocks } from './sparseBlocks.ts';
import { sparseConv } from './sparseConv.ts';
import type { SparseWeights } from './sparseFormat.ts';
import { packingNM } from './sparseNM.ts';
import { sparseProduct } from './sparseProduct.ts';
import { packingRows } from './sparseRows.ts';

/** Only the weights that are not zero: compressed rows, N of M, or blocks. */
export const sparseLayer: LayerFamily = {
  packing(matrix, choice, { groups }) {
    if (choice.form === 'nm') return packingNM(matrix, choice.n, choice.m, { groups });
    if (choice.form === 'blocks') return packingBlocks(matrix, choice.blockRows, choice.blockK, { groups });
    return packingRows(matrix, { groups });
  },
  product(recorder, call) {
    sparseProduct(recorder, { ...call, weights: call.weights as PackedOperand<SparseWeights>, x: floats(call) });
  },
  conv(recorder, call) {
    sparseConv(recorder, {
      ...call,
      weights: call.weights as PackedOperand<SparseWeights>,
      x: floats(call),
      out: floatsOut(call),
    });
  },
};
