/**
 * A set of labelled samples. Pixels stay raw bytes until they are on the GPU: normalisation, crop and flip happen there,
 * so a batch costs one byte per pixel to upload.
 */
export interface Dataset {
  readonly name: string;
  /** `train` or `test`. */
  readonly split: string;
  /** Number of samples. */
  readonly size: number;
  /** [C, H, W], planar, for images; for arrays from a file the shape of one `x`. */
  readonly sampleShape: readonly number[];
  /** Labels are in 0 .. classes - 1. */
  readonly classes: number;
  readonly classNames?: readonly string[];
  readonly kind: 'uint8' | 'float32';
  /**
   * Writes sample `indices[i]` to `out` at `i * sampleLength(sampleShape)` (planar, raw 0..255 pixels, colours in the
   * order R, G, B) and its label to `labels[i]`. Returns a promise only where samples have to be fetched or decoded;
   * such a promise rejects with InputError for a sample that turns out to be unreadable.
   */
  read(indices: ArrayLike<number>, out: Uint8Array | Float32Array, labels: Uint32Array): void | Promise<void>;
}

/** ImageNet-21k has 21,841 classes; a far larger number is a slip that would make every array of classes huge. */
export const MAX_LABEL = 999_999;

/** Number of elements of one sample. */
export function sampleLength(sampleShape: readonly number[]): number {
  return sampleShape.reduce((product, length) => product * length, 1);
}

/** An array of the dataset's kind that holds `count` samples. */
export function allocateSamples(dataset: Dataset, count: number): Uint8Array | Float32Array {
  const length = count * sampleLength(dataset.sampleShape);
  return dataset.kind === 'uint8' ? new Uint8Array(length) : new Float32Array(length);
}

export interface MemoryDatasetParts {
  name: string;
  split: string;
  sampleShape: readonly number[];
  classes: number;
  classNames?: readonly string[];
  /** `labels.length` samples, one after the other. */
  samples: Uint8Array | Float32Array;
  labels: ArrayLike<number>;
}

/** A dataset whose samples are all in memory; `read` is synchronous. */
export function memoryDataset(parts: MemoryDatasetParts): Dataset {
  const { samples, labels: allLabels, ...rest } = parts;
  const length = sampleLength(parts.sampleShape);
  const size = allLabels.length;
  if (samples.length !== size * length) {
    throw new RangeError(`memoryDataset: ${samples.length} elements for ${size} samples of ${length}`);
  }
  return {
    ...rest,
    size,
    kind: samples instanceof Uint8Array ? 'uint8' : 'float32',
    read(indices, out, labels) {
      for (let i = 0; i < indices.length; i++) {
        const index = checkedIndex(indices[i]!, size);
        out.set(samples.subarray(index * length, (index + 1) * length), i * length);
        labels[i] = allLabels[index]!;
      }
    },
  };
}

/** An index outside the dataset is a bug of the caller, not bad input. */
export function checkedIndex(index: number, size: number): number {
  if (!(index >= 0 && index < size)) throw new RangeError(`sample ${index} of a dataset of ${size}`);
  return index;
}
