/** `wgslim/gpu`: device, buffers, pipelines and recorded plans. Knows nothing of networks, and runs in browsers too. */
export { BufferPool, type BufferSlice, type BufferStatistics, USAGE, wholeBuffer } from './buffers.ts';
export type { Capabilities, MatrixProducts, Precision, TunedChoices, TunedSource } from './capabilities.ts';
export * from './errors.ts';
export { type Experimental, featuresWith, type MatrixConfig, readMatrixConfigs } from './experimental.ts';
export { Gpu, type OpenOptions } from './gpu.ts';
export { PipelineCache } from './pipelines.ts';
export {
  type Command,
  type CopyCommand,
  compilePlan,
  type DispatchCommand,
  type DispatchInfo,
  Plan,
  type PlanOptions,
  type Work,
} from './plan.ts';
export {
  type DispatchProfile,
  type Profile,
  type ProfileOptions,
  profile,
  timestampTick,
} from './profile.ts';
export type { Program } from './program.ts';
export { Throttle } from './throttle.ts';
export {
  type BlockTiming,
  type CpuTimes,
  type DispatchTiming,
  replayBlock,
  replayMeasured,
  replayTimed,
  replayTraced,
} from './timing.ts';
