/** Finds out what `--data PATH` is and opens it. */
import { basename, dirname, join } from 'node:path';
import { InputError } from '../../../graph/errors.ts';
import type { Dataset } from '../dataset.ts';
import type { Preprocess } from '../preprocess.ts';
import { labelOffsetFor } from '../preprocess.ts';
import { resizedDataset } from '../resized.ts';
import { takeFirst, withLabelOffset } from '../split.ts';
import { findCifar, readCifarDataset } from './cifar.ts';
import type { Entry } from './files.ts';
import { listFolder, statInput } from './files.ts';
import { findIdx, readIdxDataset } from './idx.ts';
import { IMAGE_NAME } from './image.ts';
import type { LabelledFile } from './imageDataset.ts';
import { imageDataset } from './imageDataset.ts';
import { readClassNames, readLabelsFile } from './labelsFile.ts';
import { readNpzDataset } from './npz.ts';

export interface OpenOptions {
  /** Absent: the test set where there is one, else what there is. */
  split?: 'train' | 'test';
  /** Only `resize`, `crop` and `labelOffset` matter here; the rest happens on the GPU. */
  preprocess?: Pick<Preprocess, 'resize' | 'crop' | 'labelOffset'>;
  /** At most this many samples, from the front. Folders per class take turns: one image of each class, then the next. */
  limit?: number;
  /** Channels of image files (1 grey, 3 colour), from the model's input; absent: what the images are. */
  channels?: 1 | 3;
  /** Outputs of the model: labels get their offset (`labelOffsetFor`), and a class beyond the outputs is refused. */
  outputs?: number;
  /** Bytes of decoded images that are kept; 512 MB where absent. */
  cacheBytes?: number;
}

/**
 * Opens MNIST's IDX files (also .gz), CIFAR's binary batches, a folder of images per class (with or without train/ and
 * test/, val/ or validation/), a folder with labels.tsv, or an .npz.
 * @throws InputError naming file and field for whatever is wrong with the data
 */
export async function openDataset(path: string, options: OpenOptions = {}): Promise<Dataset> {
  const dataset = await openWhole(path, options);
  if (dataset.size === 0) throw new InputError(`${path}: holds no samples.`);
  const limited = options.limit === undefined ? dataset : takeFirst(dataset, options.limit);
  return options.outputs === undefined
    ? withLabelOffset(limited, options.preprocess?.labelOffset ?? 0)
    : forOutputs(limited, options.preprocess ?? {}, options.outputs);
}

function forOutputs(dataset: Dataset, preprocess: Pick<Preprocess, 'labelOffset'>, outputs: number): Dataset {
  const offset = labelOffsetFor(preprocess, outputs);
  if (dataset.classes + offset > outputs) {
    const shifted = offset > 0 ? `, moved up by ${offset},` : '';
    throw new InputError(
      `${dataset.name}: has labels up to ${dataset.classes - 1}${shifted} but the model has ${outputs} outputs.`,
    );
  }
  return withLabelOffset(dataset, offset);
}

async function openWhole(path: string, options: OpenOptions): Promise<Dataset> {
  const { split, preprocess = {} } = options;
  if ((await statInput(path)).isDirectory()) return openFolder(path, options);
  if (path.endsWith('.npz')) return resizedDataset(await readNpzDataset(path, split), preprocess);
  if (basename(path) === 'labels.tsv') return openFolder(dirname(path), options);
  if (/^(data_batch_\d+|test_batch|train|test)\.bin$/.test(basename(path))) {
    const found = basename(path).startsWith('test') ? 'test' : 'train';
    if (split !== undefined && split !== found) throw new InputError(`${path}: is the ${found} set, not ${split}.`);
    return resizedDataset(await readCifarDataset([path], found), preprocess);
  }
  throw new InputError(`${path}: is not a data set: give a folder, an .npz, or a CIFAR batch (.bin).`);
}

async function openFolder(folder: string, options: OpenOptions): Promise<Dataset> {
  const { split: wanted, preprocess = {} } = options;
  const entries = await listFolder(folder);
  const names = entries.filter((entry) => !entry.isFolder).map((entry) => entry.name);
  const at = (name: string) => join(folder, name);

  const idx = findIdx(names);
  if (idx.train || idx.test) {
    const split = chooseSplit(folder, wanted, Object.keys(idx));
    const { images, labels } = idx[split]!;
    return resizedDataset(await readIdxDataset(at(images), at(labels), split), preprocess);
  }
  const cifar = findCifar(names);
  if (cifar.train || cifar.test) {
    const split = chooseSplit(folder, wanted, Object.keys(cifar));
    return resizedDataset(await readCifarDataset(cifar[split]!.map(at), split), preprocess);
  }
  return openImages(folder, entries, options);
}

function chooseSplit(folder: string, wanted: OpenOptions['split'], present: string[]): 'train' | 'test' {
  if (wanted !== undefined) {
    if (!present.includes(wanted)) throw new InputError(`${folder}: has no ${wanted} set, only ${present.join(', ')}.`);
    return wanted;
  }
  return present.includes('test') ? 'test' : 'train';
}

const SPLIT_FOLDERS: Record<'train' | 'test', readonly string[]> = {
  train: ['train', 'training'],
  test: ['test', 'val', 'validation', 'testing'],
};

async function openImages(folder: string, entries: Entry[], options: OpenOptions): Promise<Dataset> {
  const folders = entries.filter((entry) => entry.isFolder);
  const splitFolder = (split: 'train' | 'test') =>
    SPLIT_FOLDERS[split].map((name) => folders.find((entry) => entry.name === name)).find(Boolean);
  const splits = (['train', 'test'] as const).filter(splitFolder);
  const hasLabels = (list: Entry[]) => list.some((entry) => entry.name === 'labels.tsv' && !entry.isFolder);
  const hasNames = entries.some((entry) => entry.name === 'classes.txt' && !entry.isFolder);
  const classNames = hasNames ? await readClassNames(folder) : undefined;
  if (splits.length === 0 || hasLabels(entries)) {
    const split = options.split ?? 'test';
    const labels = hasLabels(entries)
      ? await readLabelsFile(folder, classNames, options.limit)
      : await readClassFolders(folder, folders, classNames);
    return openLabelled(folder, split, labels, options);
  }
  const split = chooseSplit(folder, options.split, splits);
  const { path } = splitFolder(split)!;
  const inner = await listFolder(path);
  const innerFolders = inner.filter((entry) => entry.isFolder);
  // Class numbers come from the training folders, so that a class without test images does not move the others.
  const reference = splitFolder('train') ?? splitFolder('test')!;
  const ownNames = inner.some((entry) => entry.name === 'classes.txt') ? await readClassNames(path) : classNames;
  const labels = hasLabels(inner)
    ? await readLabelsFile(path, ownNames, options.limit)
    : await readClassFolders(path, innerFolders, ownNames ?? (await folderNames(reference.path)));
  return openLabelled(path, split, labels, options);
}

async function folderNames(path: string): Promise<string[]> {
  return (await listFolder(path)).filter((entry) => entry.isFolder).map((entry) => entry.name);
}

interface Labelled {
  files: LabelledFile[];
  classes: number;
  classNames?: readonly string[];
}

function openLabelled(name: string, split: string, labels: Labelled, options: OpenOptions): Promise<Dataset> {
  const { limit = Infinity, preprocess = {}, channels, cacheBytes } = options;
  return imageDataset(labels.files.slice(0, limit), {
    name,
    split,
    classes: labels.classes,
    ...(labels.classNames && { classNames: labels.classNames }),
    spec: preprocess,
    ...(channels && { channels }),
    ...(cacheBytes !== undefined && { cacheBytes }),
  });
}

/** A folder per class; classes are numbered in the order of the names, or by the list where there is one. */
async function readClassFolders(folder: string, folders: Entry[], classNames?: readonly string[]): Promise<Labelled> {
  const names = classNames ?? folders.map((entry) => entry.name);
  const perClass: LabelledFile[][] = [];
  for (const { name, path } of folders) {
    const label = names.indexOf(name);
    if (label < 0) throw new InputError(`${path}: is not one of the ${names.length} known classes.`);
    const images = (await listFolder(path)).filter((entry) => !entry.isFolder && IMAGE_NAME.test(entry.name));
    perClass.push(images.map((image) => ({ file: image.path, label })));
  }
  const deepest = Math.max(0, ...perClass.map((files) => files.length));
  const files = Array.from({ length: deepest }, (_, turn) => perClass.flatMap((list) => list.slice(turn, turn + 1)));
  const flat = files.flat();
  if (flat.length === 0) {
    throw new InputError(
      `${folder}: is no data set: no IDX files, CIFAR batches, labels.tsv, or folders of JPEG, PNG or WebP images.`,
    );
  }
  return { files: flat, classes: names.length, classNames: names };
}
