/** Opening the --data of a command for a model. */
import { InputError } from '../graph/errors.ts';
import type { Dataset } from '../train/data/dataset.ts';
import { type OpenOptions, openDataset } from '../train/data/node/openDataset.ts';
import { labelOffsetFor, type Preprocess } from '../train/data/preprocess.ts';
import { matchInput } from '../train/input.ts';
import type { DataChoice } from './dataFlags.ts';
import type { ClassifierShape } from './model.ts';

export interface OpenedData {
  dataset: Dataset;
  preprocess: Preprocess;
}

/**
 * Opens a data set and checks that its samples and classes fit the model.
 * @param where replaces parts of the command line's choice: another path, split or limit
 */
export async function openData(
  choice: DataChoice,
  model: ClassifierShape,
  where: Pick<OpenOptions, 'split' | 'limit'> & { path?: string } = {},
): Promise<OpenedData> {
  const { path = choice.path, split = choice.openOptions.split, limit = choice.openOptions.limit } = where;
  const { resize, crop } = choice.preprocess;
  // Labels stay as they are in the file: the offset that a model wants is added on the way to the GPU.
  const dataset = await openDataset(path, {
    preprocess: { ...(resize && { resize }), ...(crop !== undefined && { crop }) },
    ...(split && { split }),
    ...(limit !== undefined && { limit }),
    ...(model.channels && { channels: model.channels }),
  });
  const preprocess = choice.preprocessFor(dataset);
  try {
    matchInput(model.input, model.inputShape, dataset);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${path}: ${error.message}`);
    throw error;
  }
  const offset = labelOffsetFor(preprocess, model.outputs);
  if (dataset.classes + offset > model.outputs) {
    throw new InputError(
      `${path}: has labels up to ${dataset.classes - 1}${offset > 0 ? `, moved up by ${offset},` : ''} but the model has ${model.outputs} outputs.`,
    );
  }
  return { dataset, preprocess };
}

/** The training set where the data has one, else what there is. */
export async function openTrainingData(choice: DataChoice, model: ClassifierShape): Promise<OpenedData> {
  if (choice.openOptions.split) return openData(choice, model);
  try {
    return await openData(choice, model, { split: 'train' });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return openData(choice, model);
  }
}
