import type { LayerUse } from '../engine/packing.ts';
import type { EncodedTensor } from '../format/encodedTensor.ts';
import type { Tensor } from '../graph/types.ts';
import { type ChoiceAdapter, choosePacking, type PackingChoice } from '../kernels/choosePacking.ts';
import type { LayerFamily, LayerKernels, PackedWeights } from '../kernels/layerFamily.ts';
import type { WeightMatrix } from '../kernels/weightMatrix.ts';
import { weightMatrix } from './weightMatrix.ts';

/** The form in which a layer's weights lie on the GPU, and why. */
export interface PackedTensor {
  /** Undefined where they are unpacked to float32. */
  packed: { weights: PackedWeights; kernels: LayerKernels } | undefined;
  choice: PackingChoice;
}

/** A form that is chosen, and what the family of that form needs to pack the weights. */
export interface PackingPlan {
  choice: PackingChoice;
  /** Absent where the weights are unpacked to float32. */
  matrix?: WeightMatrix;
  use: LayerUse;
}

/** Chooses the form of a tensor of the file from its values and from the layers that read it. */
export function planPacking(
  adapter: ChoiceAdapter,
  encoded: EncodedTensor,
  decoded: Tensor,
  use: LayerUse,
): PackingPlan {
  const matrix = weightMatrix(encoded, decoded, use);
  if (!matrix) {
    return { choice: { form: 'float', reason: 'its scales run across the rows of the product' }, use };
  }
  const choice = choosePacking(adapter, matrix, use);
  return choice.form === 'float' ? { choice, use } : { choice, matrix, use };
}

/** Packs by the family of the form that was chosen; without one the weights stay floats. */
export function packBy(family: LayerFamily | undefined, { choice, matrix, use }: PackingPlan): PackedTensor {
  if (!family || !matrix) return { packed: undefined, choice };
  return { packed: { weights: family.pack(matrix, choice, use), kernels: family }, choice };
}

/** In a word or two: `int8`, `dense, 4 bits`, `2:4 sparse`. */
export function describePacking({ packed, choice }: PackedTensor): string {
  switch (choice.form) {
    case 'float':
      return 'float32';
    case 'int8':
      return 'int8';
    case 'dense':
      return packed?.weights.form === 'dense' ? `dense, ${packed.weights.bits} bits` : 'dense';
    case 'rows':
      return 'sparse rows';
    case 'nm':
      return `${choice.n}:${choice.m} sparse`;
    case 'blocks':
      return `sparse blocks, ${choice.blockRows}×${choice.blockK}`;
  }
}
