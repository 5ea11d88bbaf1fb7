/** `wgslim/web`: the runtime alone, for browsers. */
export { InferenceModel, type InferenceOptions } from './engine/inference.ts';
export { type CompressedModel, decodeModel } from './format/decodeModel.ts';
export type { ModelMeta } from './format/meta.ts';
export * from './gpu/errors.ts';
export { Gpu, type OpenOptions } from './gpu/gpu.ts';
export { InputError } from './graph/errors.ts';
export type { Graph, Node, Tensor } from './graph/types.ts';
export { fetchModel, type LoadedModel, type LoadOptions, loadModel } from './runtime/model.ts';
export { openWebGpu } from './runtime/openGpu.ts';
