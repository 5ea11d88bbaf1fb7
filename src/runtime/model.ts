/** Running a compressed file on a `Gpu` that is open: for Node, where files are at hand as a whole. */
import { InferenceModel, type InferenceOptions } from '../engine/inference.ts';
import { decodeModel } from '../format/decodeModel.ts';
import type { ModelMeta } from '../format/meta.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { packedParameters } from './packModel.ts';
import type { WeightMemory } from './packWeights.ts';

export interface LoadOptions extends Pick<InferenceOptions, 'batch' | 'inputShapes' | 'tuned' | 'precision'> {
  /** What messages name. */
  fileName?: string;
  /** What the weights may take on the GPU. Default: `fast`. */
  weights?: WeightMemory;
}

export interface LoadedModel {
  /** The compiled network: `run` takes inputs by name and gives outputs by name. */
  model: InferenceModel;
  /** What the file remembers: preprocessing, names of the classes, … */
  meta: ModelMeta;
}

/**
 * Reads a compressed file, puts its weights on the GPU as they are packed and compiles it for one batch size.
 * @throws InputError where the file is damaged or holds what cannot be run
 */
export async function loadModel(gpu: Gpu, bytes: Uint8Array, options: LoadOptions = {}): Promise<LoadedModel> {
  const { fileName = 'the model', weights, ...compile } = options;
  const file = decodeModel(bytes, { fileName });
  const parameters = packedParameters(gpu, file, weights);
  return { model: await InferenceModel.compile(gpu, file.graph, { ...compile, parameters }), meta: file.meta };
}
