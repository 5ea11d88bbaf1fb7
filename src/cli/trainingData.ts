/** Which data a compression trains on and which it is judged by: never the same samples. */
import { dirname, resolve } from 'node:path';
import type { Recipe } from '../compress/recipe.ts';
import type { StageData } from '../compress/recipeFields.ts';
import { allocateSamples, type Dataset } from '../train/data/dataset.ts';
import type { Preprocess } from '../train/data/preprocess.ts';
import { holdOut, takeFirst } from '../train/data/split.ts';
import { openData } from './data.ts';
import type { DataChoice } from './dataFlags.ts';
import type { ClassifierShape } from './model.ts';

export interface CompressionData {
  preprocess: Preprocess;
  evaluation: Dataset;
  openStage(data: StageData): Promise<Dataset>;
  /** Whether the data had no test set of its own, so that a part of it was held out. */
  isHeldOut: boolean;
}

/** One of this many samples is held out where the data has no test set. */
const HOLD_OUT = 5;

export async function openCompressionData(
  choice: DataChoice,
  model: ClassifierShape,
  options: { recipe: Recipe; recipePath: string; evalLimit?: number },
): Promise<CompressionData> {
  const { recipe, recipePath, evalLimit } = options;
  const { dataset: judged, preprocess } = await openData(choice, model);
  const opened = new Map<string, Dataset>();
  const key = ({ path, split }: StageData) => `${split} ${path ?? ''}`;
  for (const { data } of recipe.stages) {
    if (opened.has(key(data))) continue;
    // Paths in a recipe are seen from the recipe's folder.
    const path = data.path === undefined ? undefined : resolve(dirname(recipePath), data.path);
    const { dataset } = await openData(choice, model, { split: data.split, ...(path !== undefined && { path }) });
    opened.set(key(data), dataset);
  }
  const same = new Set<string>();
  for (const [name, dataset] of opened) if (await isSameData(dataset, judged)) same.add(name);
  const parts = same.size > 0 ? holdOut(judged, Math.ceil(judged.size / HOLD_OUT), recipe.seed) : undefined;
  const evaluation = parts?.validation ?? judged;
  return {
    preprocess,
    evaluation: evalLimit === undefined ? evaluation : takeFirst(evaluation, evalLimit),
    async openStage(data) {
      return parts && same.has(key(data)) ? { ...parts.train, split: data.split } : (opened.get(key(data)) as Dataset);
    },
    isHeldOut: parts !== undefined,
  };
}

const COMPARED = 8;

/** A folder or archive without splits opens as the same samples whichever split is asked for. */
async function isSameData(a: Dataset, b: Dataset): Promise<boolean> {
  if (a.size !== b.size || a.kind !== b.kind || `${a.sampleShape}` !== `${b.sampleShape}`) return false;
  const count = Math.min(COMPARED, a.size);
  const indices = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * a.size) / count));
  const read = async (dataset: Dataset) => {
    const samples = allocateSamples(dataset, count);
    const labels = new Uint32Array(count);
    await dataset.read(indices, samples, labels);
    return { samples, labels };
  };
  const [left, right] = [await read(a), await read(b)];
  const equal = (x: ArrayLike<number>, y: ArrayLike<number>) =>
    Array.from(x).every((value, i) => Object.is(value, y[i]));
  return equal(left.labels, right.labels) && equal(left.samples, right.samples);
}
