import { floats, floatsOut, type LayerFamily } from './layerFamily.ts';
import type { PackedOperand } from './packedOperand.ts';
import { packBlocks } from './sparseBlocks.ts';
import { sparseConv } from './sparseConv.ts';
import type { SparseWeights } from './sparseFormat.ts';
import { packNM } from './sparseNM.ts';
import { sparseProduct } from './sparseProduct.ts';
import { packRows } from './sparseRows.ts';

/** Only the weights that are not zero: compressed rows, N of M, or blocks. */
export const sparseLayer: LayerFamily = {
  pack(matrix, choice, { groups }) {
    if (choice.form === 'nm') return packNM(matrix, choice.n, choice.m, { groups });
    if (choice.form === 'blocks') return packBlocks(matrix, choice.blockRows, choice.blockK, { groups });
    return packRows(matrix, { groups });
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
