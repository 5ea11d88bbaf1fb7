import * as v from 'valibot';
import { InputError } from '../../graph/errors.ts';
import { stepsFor } from '../../train/feed.ts';
import type { Trainer } from '../../train/trainer.ts';
import { calibrate } from '../calibrate.ts';
import { weightedLayers } from '../layers.ts';
import { MaskPruner } from '../pruner.ts';
import { commonFields, count, fraction, layerPatterns, training } from '../recipeFields.ts';
import { cubicSparsity } from '../sparsitySchedule.ts';
import { type CompressionState, withInitializers } from '../state.ts';
import type { StageContext } from './stage.ts';
import { trainStage } from './training.ts';

/** Removal of the weights that matter least, at once or gradually while training goes on. */
export const pruneSchema = v.strictObject({
  ...commonFields,
  kind: v.literal('prune'),
  /** Fraction of the prunable weights that end at zero. */
  sparsity: v.pipe(v.number(), v.gtValue(0), v.ltValue(1)),
  scope: v.optional(v.picklist(['global', 'layer']), 'global'),
  importance: v.optional(v.picklist(['magnitude', 'gradient', 'taylor']), 'taylor'),
  /** Samples that a gradient-based importance is averaged over. */
  calibration: v.optional(v.strictObject({ samples: v.optional(count, 2048), batch: v.optional(count, 32) }), {}),
  schedule: v.optional(
    v.variant('kind', [
      v.strictObject({ kind: v.literal('one-shot') }),
      v.strictObject({
        kind: v.literal('cubic'),
        initial: v.optional(fraction, 0),
        /** Fraction of the stage's steps after which the final sparsity is reached; the rest heals. */
        until: v.optional(fraction, 0.7),
        every: v.optional(count, 50),
      }),
    ]),
    { kind: 'one-shot' },
  ),
  /** Names of nodes or weights that are left alone; * stands for anything. */
  skip: layerPatterns,
  training: v.optional(training),
});

export type PruneStage = v.InferOutput<typeof pruneSchema>;

export async function runPrune(stage: PruneStage, context: StageContext): Promise<CompressionState> {
  const weights = weightedLayers(context.state.graph, stage.skip).map(({ weight }) => weight);
  if (weights.length === 0) throw new InputError(`Stage ${stage.name}: skip leaves no weight to prune`);
  const prunable = [...new Set(weights)];
  if (stage.schedule.kind === 'cubic') return pruneGradually(stage, context, prunable, stage.schedule);
  const pruned = context.resume ? context.state : await pruneAtOnce(stage, context, prunable);
  if (!stage.training) return pruned;
  // A checkpoint holds weights and masks of its own; those that the trainer starts with are overwritten.
  return trainStage(context, { ...pruned, training: stage.training });
}

async function pruneAtOnce(
  stage: PruneStage,
  context: StageContext,
  prunable: readonly string[],
): Promise<CompressionState> {
  const { gpu, state, dataset, preprocess, seed } = context;
  const { trainer } = await calibrate(gpu, {
    graph: state.graph,
    masks: state.masks,
    dataset,
    preprocess,
    seed,
    importance: stage.importance,
    samples: stage.calibration.samples,
    batch: stage.calibration.batch,
    onProgress: context.onCalibrate,
    signal: context.signal,
  });
  const pruner = await MaskPruner.create(trainer, { prunable, scope: stage.scope, importance: stage.importance });
  try {
    pruner.prune(stage.sparsity);
    const { tensors, masks } = await trainer.download();
    return { graph: withInitializers(state.graph, tensors), masks };
  } finally {
    pruner.dispose();
    trainer.dispose();
  }
}

function pruneGradually(
  stage: PruneStage,
  context: StageContext,
  prunable: readonly string[],
  schedule: Extract<PruneStage['schedule'], { kind: 'cubic' }>,
): Promise<CompressionState> {
  if (!stage.training)
    throw new InputError(`Stage ${stage.name}: the cubic schedule prunes while training: give it training`);
  if (stepsFor(context.dataset, stage.training.batch, stage.training.epochs) < 2) {
    throw new InputError(`Stage ${stage.name}: the cubic schedule needs two steps or more: give it more epochs`);
  }
  const { importance, scope, sparsity } = stage;
  let pruner: MaskPruner | undefined;
  const result = trainStage(context, {
    ...context.state,
    training: stage.training,
    importance: importance === 'magnitude' ? undefined : importance,
    async beforeStep(trainer: Trainer, step: number, steps: number) {
      pruner ??= await MaskPruner.create(trainer, { prunable, scope, importance });
      const end = Math.max(1, Math.floor(schedule.until * (steps - 1)));
      // The last update falls on the end exactly; step 0 has no gradients yet to judge by.
      const isDue = step > 0 && (step === end || (step < end && step % schedule.every === 0));
      if (isDue) pruner.prune(cubicSparsity(step, { initial: schedule.initial, final: sparsity, begin: 0, end }));
    },
  });
  return result.finally(() => pruner?.dispose());
}
