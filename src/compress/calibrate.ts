import type { Gpu } from '../gpu/gpu.ts';
import { Throttle } from '../gpu/throttle.ts';
import type { Graph } from '../graph/types.ts';
import type { ImportanceKind } from '../kernels/accumulateImportance.ts';
import type { Dataset } from '../train/data/dataset.ts';
import { labelOffsetFor, type Preprocess } from '../train/data/preprocess.ts';
import { outputClasses } from '../train/evaluate.ts';
import { TrainingFeed } from '../train/feed.ts';
import { Trainer } from '../train/trainer.ts';

export interface CalibrationOptions {
  graph: Graph;
  masks?: ReadonlyMap<string, Uint8Array>;
  dataset: Dataset;
  preprocess: Preprocess;
  seed: number;
  /** For `magnitude` nothing has to be run. */
  importance: ImportanceKind;
  /** At most so many, in batches of `batch`: importance is averaged over the batches' gradients. */
  samples: number;
  batch: number;
  onProgress?(done: number, total: number): void;
  signal?: AbortSignal | undefined;
}

/**
 * Accumulates the importance of every weight over calibration data, on the GPU: the mean over batches of |g| or |w·g|
 * (gradients of the loss in evaluation mode; Molchanov et al. 2019 for the latter). The caller disposes the trainer,
 * whose `scores` hold the sums over `batches` batches.
 */
export async function calibrate(
  gpu: Gpu,
  options: CalibrationOptions,
): Promise<{ trainer: Trainer; batches: number; samples: number }> {
  const { dataset, preprocess, importance } = options;
  const batch = Math.min(options.batch, dataset.size);
  const trainer = await Trainer.create(gpu, {
    graph: options.graph,
    batch,
    format: dataset,
    preprocess,
    augmented: false,
    batchNorm: 'frozen',
    labelSmoothing: 0,
    masks: options.masks ?? new Map(),
    importance: importance === 'magnitude' ? undefined : importance,
  });
  if (importance === 'magnitude') return { trainer, batches: 0, samples: 0 };
  try {
    const samples = Math.min(options.samples, dataset.size);
    const batches = Math.max(1, Math.floor(samples / batch));
    const feed = new TrainingFeed(dataset, {
      batch,
      seed: options.seed,
      labelOffset: labelOffsetFor(preprocess, outputClasses(options.graph)),
    });
    const throttle = new Throttle(gpu);
    for (let step = 0; step < batches; step++) {
      options.signal?.throwIfAborted();
      trainer.step(await feed.at(step), step, 0);
      await throttle.pace();
      options.onProgress?.((step + 1) * batch, batches * batch);
    }
    return { trainer, batches, samples: batches * batch };
  } catch (error) {
    trainer.dispose();
    throw error;
  }
}
