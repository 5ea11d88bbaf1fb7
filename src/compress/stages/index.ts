import type { Stage } from '../recipe.ts';
import type { CompressionState } from '../state.ts';
import { runPrune } from './prune.ts';
import { runQuantize } from './quantize.ts';
import type { StageContext } from './stage.ts';
import { runTrain } from './train.ts';

export function runStage(stage: Stage, context: StageContext): Promise<CompressionState> {
  switch (stage.kind) {
    case 'prune':
      return runPrune(stage, context);
    case 'quantize':
      return runQuantize(stage, context);
    case 'train':
      return runTrain(stage, context);
  }
}
