/** Running a compressed file: what a web page ships. */
import { InferenceModel, type InferenceOptions } from '../engine/inference.ts';
import { decodeModel } from '../format/decodeModel.ts';
import type { ModelMeta } from '../format/meta.ts';
import type { Gpu } from '../gpu/gpu.ts';

export interface LoadOptions extends Pick<InferenceOptions, 'batch' | 'inputShapes'> {
  /** What messages name; the URL where the file was fetched. */
  fileName?: string;
}

export interface LoadedModel {
  /** The compiled network: `run` takes inputs by name and gives outputs by name. */
  model: InferenceModel;
  /** What the file remembers: preprocessing, names of the classes, … */
  meta: ModelMeta;
}

/**
 * Reads a compressed file, puts its weights on the GPU and compiles it for one batch size.
 * @throws InputError where the file is damaged or holds what cannot be run
 */
export async function loadModel(gpu: Gpu, bytes: Uint8Array, options: LoadOptions = {}): Promise<LoadedModel> {
  const { fileName = 'the model', ...compile } = options;
  const { graph, meta } = decodeModel(bytes, { fileName });
  return { model: await InferenceModel.compile(gpu, graph, compile), meta };
}

/** `loadModel` of a URL. */
export async function fetchModel(gpu: Gpu, url: string | URL, options: LoadOptions = {}): Promise<LoadedModel> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be fetched: ${response.status} ${response.statusText}`);
  return loadModel(gpu, new Uint8Array(await response.arrayBuffer()), { fileName: String(url), ...options });
}
