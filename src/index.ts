/** `wgslim`: import, measure, compress, save and run networks, from Node. */
export {
  type CompressEvent,
  type CompressOptions,
  type CompressResult,
  compress,
  type StageResult,
} from './compress/compress.ts';
export { deploy, deployToBytes } from './compress/deploy.ts';
export { folderStorage } from './compress/node.ts';
export { parseRecipe, type Recipe, type Stage } from './compress/recipe.ts';
export type { StageData, Training } from './compress/recipeFields.ts';
export {
  type LayerSensitivity,
  measureSensitivity,
  type SensitivityOptions,
  type SensitivityReport,
} from './compress/sensitivity.ts';
export { memoryStorage, type RunStorage } from './compress/storage.ts';
export { InferenceModel, type InferenceOptions } from './engine/inference.ts';
export { type CompressedModel, decodeModel, isCompressedModel } from './format/decodeModel.ts';
export { describeModel, type ModelDescription, type TensorDescription } from './format/describeModel.ts';
export { encodeModel } from './format/encodeModel.ts';
export type { ModelMeta } from './format/meta.ts';
export { readModelFile, writeFileAtomic } from './format/node.ts';
export * from './gpu/errors.ts';
export { Gpu, type OpenOptions } from './gpu/gpu.ts';
export { type NodeGpu, type NodeOpenOptions, openGpu } from './gpu/node.ts';
export { InputError } from './graph/errors.ts';
export type { Attribute, Dim, DType, Graph, Node, Tensor, ValueInfo } from './graph/types.ts';
export { fileTuning, nodeAdapterKey } from './kernels/tunedCache.node.ts';
export { exportOnnx } from './onnx/export.ts';
export { exportQuantized } from './onnx/exportQuantized.ts';
export { type ImportOptions, importOnnx, importQuantized } from './onnx/import.ts';
export { readOnnxFile } from './onnx/node.ts';
export { type LoadedModel, type LoadOptions, loadModel } from './runtime/model.ts';
export { packedParameters, packTensors } from './runtime/packModel.ts';
export { describePacking, type PackedTensor } from './runtime/packWeights.ts';
export { type Dataset, memoryDataset } from './train/data/dataset.ts';
export { type OpenOptions as DatasetOptions, openDataset } from './train/data/node/openDataset.ts';
export { defaultPreprocess, type Preprocess, parsePreprocess } from './train/data/preprocess.ts';
export { holdOut, subset, takeFirst } from './train/data/split.ts';
export { type EvaluateOptions, type Evaluation, evaluate } from './train/evaluate.ts';
export { type StepMetrics, Trainer, type TrainerOptions } from './train/trainer.ts';
