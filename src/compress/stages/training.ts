import { Throttle } from '../../gpu/throttle.ts';
import type { Graph } from '../../graph/types.ts';
import type { ImportanceKind } from '../../kernels/accumulateImportance.ts';
import { labelOffsetFor } from '../../train/data/preprocess.ts';
import { outputClasses } from '../../train/evaluate.ts';
import { stepsFor, TrainingFeed } from '../../train/feed.ts';
import { learningRate, type Schedule } from '../../train/schedule.ts';
import { Trainer } from '../../train/trainer.ts';
import type { ScheduleConfig, Training } from '../recipeFields.ts';
import { type CompressionState, withInitializers } from '../state.ts';
import type { StageContext } from './stage.ts';

export interface TrainingSetup {
  graph: Graph;
  masks: ReadonlyMap<string, Uint8Array>;
  training: Training;
  /** Accumulated while training, for pruning on the way. */
  importance?: Exclude<ImportanceKind, 'magnitude'> | undefined;
  /** Called before each step is queued (not for steps that a resumed run has done). */
  beforeStep?(trainer: Trainer, step: number, steps: number): void | Promise<void>;
}

/** The training part of a stage: from the first step, or the checkpoint's, to the last. */
export async function trainStage(context: StageContext, setup: TrainingSetup): Promise<CompressionState> {
  const { gpu, dataset, preprocess, seed, resume, signal } = context;
  const { training } = setup;
  const steps = stepsFor(dataset, training.batch, training.epochs);
  const feed = new TrainingFeed(dataset, {
    batch: training.batch,
    seed,
    labelOffset: labelOffsetFor(preprocess, outputClasses(setup.graph)),
    augment: training.augment,
  });
  const schedule = inSteps(training.schedule, steps / training.epochs);
  const trainer = await Trainer.create(gpu, {
    graph: setup.graph,
    batch: training.batch,
    format: dataset,
    preprocess,
    augmented: training.augment.crop > 0 || training.augment.flip,
    batchNorm: training.batchNorm,
    labelSmoothing: training.labelSmoothing,
    optimizer: training.optimizer,
    masks: setup.masks,
    ...(training.distill && { teacher: { graph: context.original, ...training.distill } }),
    importance: setup.importance,
  });
  try {
    if (resume) trainer.restore(resume.buffers);
    const throttle = new Throttle(gpu);
    let lastReport = performance.now();
    for (let step = resume?.step ?? 0; step < steps; step++) {
      await setup.beforeStep?.(trainer, step, steps);
      const batch = await feed.at(step);
      trainer.step(batch, step, learningRate(training.optimizer.learningRate, schedule, step, steps));
      await throttle.pace();
      const isLast = step === steps - 1;
      const stopped = signal?.aborted ?? false;
      const isDue = context.isCheckpointDue() || stopped;
      if (trainer.isFull || isLast || isDue || performance.now() - lastReport > 500) {
        await context.onSteps(await trainer.readMetrics(), step + 1, steps);
        lastReport = performance.now();
      }
      if (isDue && !isLast) await context.onCheckpoint(step + 1, await trainer.save());
      signal?.throwIfAborted();
    }
    const { tensors, masks } = await trainer.download();
    return { graph: withInitializers(setup.graph, tensors), masks };
  } finally {
    trainer.dispose();
  }
}

function inSteps({ warmupEpochs, ...schedule }: ScheduleConfig, stepsPerEpoch: number): Schedule {
  return { ...schedule, warmupSteps: Math.round(warmupEpochs * stepsPerEpoch) };
}
