import type { Gpu } from '../../gpu/gpu.ts';
import type { Graph } from '../../graph/types.ts';
import type { Dataset } from '../../train/data/dataset.ts';
import type { Preprocess } from '../../train/data/preprocess.ts';
import type { StepMetrics } from '../../train/trainer.ts';
import type { CompressionState } from '../state.ts';

/** What a stage gets to work with. */
export interface StageContext {
  gpu: Gpu;
  state: CompressionState;
  /** The network as it came, for distillation. */
  original: Graph;
  dataset: Dataset;
  preprocess: Preprocess;
  /** Differs from stage to stage. */
  seed: number;
  /** Where to go on: steps that are done, and the trainer's buffers then. */
  resume?: { step: number; buffers: ReadonlyMap<string, Uint8Array> } | undefined;
  signal?: AbortSignal | undefined;
  onCalibrate(done: number, total: number): void;
  onSteps(metrics: readonly StepMetrics[], done: number, total: number): Promise<void>;
  /** Asked after every step whether to write a checkpoint now. */
  isCheckpointDue(): boolean;
  onCheckpoint(step: number, buffers: Map<string, Uint8Array>): Promise<void>;
}
