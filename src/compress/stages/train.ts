import * as v from 'valibot';
import { commonFields, training } from '../recipeFields.ts';
import type { CompressionState } from '../state.ts';
import type { StageContext } from './stage.ts';
import { trainStage } from './training.ts';

/** Fine-tuning or distillation as it stands: masks and quantizers of the stages before hold. */
export const trainSchema = v.strictObject({ ...commonFields, kind: v.literal('train'), training });

export type TrainStage = v.InferOutput<typeof trainSchema>;

export function runTrain(stage: TrainStage, context: StageContext): Promise<CompressionState> {
  return trainStage(context, { ...context.state, training: stage.training });
}
