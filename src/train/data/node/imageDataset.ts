/** Datasets of image files, decoded when they are asked for. */
import { InputError } from '../../../graph/errors.ts';
import type { Dataset } from '../dataset.ts';
import { checkedIndex } from '../dataset.ts';
import { fixedSize, imageGeometry } from '../geometry.ts';
import type { ImageSpec } from './image.ts';
import { imageInfo, loadImage } from './image.ts';

export interface LabelledFile {
  file: string;
  label: number;
}

export interface ImageDatasetOptions {
  name: string;
  split: string;
  classes: number;
  classNames?: readonly string[];
  spec: ImageSpec;
  /** Colour channels of every sample; absent: 1 where the images looked at are all grey, else 3. */
  channels?: 1 | 3;
  /** Bytes of decoded samples that are kept. */
  cacheBytes?: number;
}

const DEFAULT_CACHE_BYTES = 2 ** 29;
/** Decoders running at a time; libvips uses threads of its own inside each. */
const CONCURRENCY = 4;
/** Headers that are read to tell grey from colour where the size is known beforehand. */
const PROBED = 16;

/** Opens labelled image files as one dataset; all end up with the same size or are refused here. */
export async function imageDataset(files: readonly LabelledFile[], options: ImageDatasetOptions): Promise<Dataset> {
  const { name, split, classes, classNames, spec } = options;
  const { width, height, channels } = await commonShape(files, options);
  const length = channels * width * height;
  // The first samples that fit stay. Epochs visit everything once, so that "least recently used" would keep nothing.
  const cache = new Map<number, Uint8Array>();
  let free = options.cacheBytes ?? DEFAULT_CACHE_BYTES;

  const load = async (index: number): Promise<Uint8Array> => {
    const kept = cache.get(index);
    if (kept) return kept;
    const { file } = files[index]!;
    const image = await loadImage(file, channels, spec);
    if (image.width !== width || image.height !== height) throw sizeError(file, image, { width, height });
    if (free >= length && !cache.has(index)) {
      free -= length;
      cache.set(index, image.data);
    }
    return image.data;
  };

  return {
    name,
    split,
    size: files.length,
    sampleShape: [channels, height, width],
    classes,
    ...(classNames && { classNames }),
    kind: 'uint8',
    async read(indices, out, labels) {
      await inParallel(indices.length, async (i) => {
        const index = checkedIndex(indices[i]!, files.length);
        out.set(await load(index), i * length);
        labels[i] = files[index]!.label;
      });
    },
  };
}

async function commonShape(files: readonly LabelledFile[], { spec, channels, name }: ImageDatasetOptions) {
  if (files.length === 0) throw new InputError(`${name}: holds no JPEG, PNG or WebP images.`);
  const fixed = fixedSize(spec);
  // Where the size follows from the images, every header has to be looked at; otherwise a few, for the colours.
  const probed = fixed ? (channels ? 0 : Math.min(PROBED, files.length)) : files.length;
  const infos: { width: number; height: number; grey: boolean }[] = [];
  await inParallel(probed, async (index) => {
    infos[index] = await imageInfo(files[index]!.file);
  });
  let size = fixed;
  for (const [index, info] of infos.entries()) {
    if (fixed) break;
    const { file } = files[index]!;
    const { crop } = imageGeometry(file, info.width, info.height, spec);
    size ??= { width: crop.width, height: crop.height };
    if (crop.width !== size.width || crop.height !== size.height) throw sizeError(file, crop, size);
  }
  return { ...size!, channels: channels ?? (infos.every((info) => info.grey) ? 1 : 3) } as const;
}

function sizeError(file: string, found: Size, wanted: Size): InputError {
  return new InputError(
    `${file}: is ${found.width} x ${found.height} where the images before it are ${wanted.width} x ${wanted.height}: ` +
      'give resize WxH, or resize N and crop N.',
  );
}
interface Size {
  width: number;
  height: number;
}

/** Runs `task(0)` .. `task(count - 1)`, a few at a time; the first failure stops the rest and is thrown. */
async function inParallel(count: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      try {
        await task(next++);
      } catch (error) {
        next = count;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, count) }, worker));
}
