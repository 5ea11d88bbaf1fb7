import type { LayerUse } from '../engine/packing.ts';
import type { EncodedTensor } from '../format/encodedTensor.ts';
import type { Tensor } from '../graph/types.ts';
import { type ChoiceAdapter, choosePacking, type PackingChoice } from '../kernels/choosePacking.ts';
import { packDense } from '../kernels/denseWeights.ts';
import { packInt8 } from '../kernels/int8Weights.ts';
import type { PackedWeights } from '../kernels/packedLayer.ts';
import { packBlocks } from '../kernels/sparseBlocks.ts';
import { packNM } from '../kernels/sparseNM.ts';
import { packRows } from '../kernels/sparseRows.ts';
import { weightMatrix } from './weightMatrix.ts';

/** The form in which a layer's weights lie on the GPU, and why. */
export interface PackedTensor {
  /** Undefined where they are unpacked to float32. */
  weights: PackedWeights | undefined;
  choice: PackingChoice;
}

/** Packs a tensor of the file for the kernels of the layers that read it. */
export function packTensor(
  adapter: ChoiceAdapter,
  encoded: EncodedTensor,
  decoded: Tensor,
  use: LayerUse,
): PackedTensor {
  const matrix = weightMatrix(encoded, decoded, use);
  if (!matrix) {
    return { weights: undefined, choice: { form: 'float', reason: 'its scales run across the rows of the product' } };
  }
  const { groups, taps, quantizedInput } = use;
  const choice = choosePacking(adapter, matrix, { groups, taps, quantizedInput });
  switch (choice.form) {
    case 'dense':
      return { weights: packDense(matrix), choice };
    case 'int8':
      return { weights: packInt8(matrix, { groups, taps }), choice };
    case 'rows':
      return { weights: packRows(matrix, { groups }), choice };
    case 'nm':
      return { weights: packNM(matrix, choice.n, choice.m, { groups }), choice };
    case 'blocks':
      return { weights: packBlocks(matrix, choice.blockRows, choice.blockK, { groups }), choice };
    case 'float':
      return { weights: undefined, choice };
  }
}

/** In a word or two: `int8`, `dense, 4 bits`, `2:4 sparse`. */
export function describePacking({ weights, choice }: PackedTensor): string {
  switch (choice.form) {
    case 'float':
      return 'float32';
    case 'int8':
      return 'int8';
    case 'dense':
      return weights?.form === 'dense' ? `dense, ${weights.bits} bits` : 'dense';
    case 'rows':
      return 'sparse rows';
    case 'nm':
      return `${choice.n}:${choice.m} sparse`;
    case 'blocks':
      return `sparse blocks, ${choice.blockRows}×${choice.blockK}`;
  }
}
