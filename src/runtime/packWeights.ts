import type { LayerUse } from '../engine/packing.ts';
import type { StoredLayer } from '../engine/parameters.ts';
import type { EncodedTensor } from '../format/encodedTensor.ts';
import type { Tensor } from '../graph/types.ts';
import {
  type ChoiceAdapter,
  type Chooser,
  choosingDense,
  type PackingChoice,
  runsSparse,
} from '../kernels/chooseDense.ts';
import type { LayerFamily, LayerKernels, PackedWeights, StoredWeights } from '../kernels/layerFamily.ts';
import type { Steps } from '../kernels/steps.ts';
import type { WeightMatrix } from '../kernels/weightMatrix.ts';
import { makingMatrix } from './weightMatrix.ts';

/**
 * What the weights may take on the GPU: `small`, the default, about what they take in the file, so that those whose kernel needs more
 * are unpacked in every run; `fast`, what their kernel needs.
 */
export type WeightMemory = 'small' | 'fast';

/** The form in which a layer's weights lie on the GPU, and why. */
export interface PackedTensor {
  /** Undefined where they are unpacked to float32. */
  packed: { weights: PackedWeights; kernels: LayerKernels } | undefined;
  /** What lies on the GPU in place of the words of `packed`. */
  stored?: Omit<StoredWeights, 'expand'> & Required<Pick<StoredLayer, 'expand'>>;
  choice: PackingChoice;
}

/** A form that is chosen, and what the family of that form needs to pack the weights. */
export interface PackingPlan {
  choice: PackingChoice;
  /** Absent where no kernel of packed weights could read them. */
  matrix?: WeightMatrix;
  use: LayerUse;
}

/** Whether a sparse form may be chosen: too few weights are zero where the file had nothing to gain from leaving them out. */
export function mayBeSparse(adapter: ChoiceAdapter, { layout }: EncodedTensor): boolean {
  return layout !== 'dense' && runsSparse(adapter);
}

/**
 * Chooses the form of a tensor of the file from its values and from the layers that read it.
 * @param choose `choosingPacking` where it may be sparse
 */
export function* planningPacking(
  adapter: ChoiceAdapter,
  encoded: EncodedTensor,
  decoded: Tensor,
  use: LayerUse,
  { memory, choose = choosingDense }: { memory?: WeightMemory | undefined; choose?: Chooser | undefined } = {},
): Steps<PackingPlan> {
  const matrix = yield* makingMatrix(encoded, decoded, use);
  if (!matrix) {
    return { choice: { form: 'float', reason: 'its scales run across the rows of the product' }, use };
  }
  const facts = memory === 'small' ? { ...use, payload: encoded.bytes } : use;
  return { choice: yield* choose(adapter, matrix, facts), matrix, use };
}

/** Packs by the family of the form that was chosen; without one the weights stay floats. */
export function* packingBy(family: LayerFamily | undefined, { choice, matrix, use }: PackingPlan): Steps<PackedTensor> {
  if (!family || !matrix) return { packed: undefined, choice };
  return { packed: { weights: yield* family.packing(matrix, choice, use), kernels: family }, choice };
}

/** Bytes on the GPU; 0 where the weights are floats. */
export function packedBytes({ packed, stored }: PackedTensor): number {
  return (stored ?? packed?.weights)?.words.byteLength ?? 0;
}

/** In a word or two: `int8`, `dense, 4 bits`, `2:4 sparse`; `int8 from bitmap` where the form is made in every run. */
export function describePacking(tensor: PackedTensor): string {
  return tensor.stored ? `${describeForm(tensor)} from ${tensor.stored.coding}` : describeForm(tensor);
}

function describeForm({ packed, choice }: PackedTensor): string {
  switch (choice.form) {
    case 'float':
      return 'float32';
    case 'int8':
      return 'int8';
    case 'dense':
      if (packed?.weights.form !== 'dense') return 'dense';
      return packed.weights.bits === 32 ? 'float32' : `dense, ${packed.weights.bits} bits`;
    case 'rows':
      return 'sparse rows';
    case 'nm':
      return `${choice.n}:${choice.m} sparse`;
    case 'blocks':
      return `sparse blocks, ${choice.blockRows}×${choice.blockK}`;
  }
}
