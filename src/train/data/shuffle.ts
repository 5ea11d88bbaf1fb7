/**
 * Order and augmentation of training samples as pure functions of (seed, epoch, index): a resumed run sees the same
 * samples, moved and mirrored the same way, as an unbroken one.
 */
import { randomWords, STREAM, uniformBelow } from './philox.ts';

/** A uniformly random permutation of 0 .. size - 1 (Fisher and Yates, in Durstenfeld's form). */
function shuffled(size: number, word: () => number): Uint32Array {
  const order = Uint32Array.from({ length: size }, (_, index) => index);
  for (let last = size - 1; last > 0; last--) {
    const other = uniformBelow(last + 1, word);
    const moved = order[last]!;
    order[last] = order[other]!;
    order[other] = moved;
  }
  return order;
}

/** The order in which epoch `epoch` visits the samples. */
export function epochOrder(size: number, seed: number, epoch: number): Uint32Array {
  return shuffled(size, randomWords(seed, STREAM.order, epoch));
}

/** A permutation that belongs to no epoch, for dividing a dataset. */
export function permutation(size: number, seed: number): Uint32Array {
  return shuffled(size, randomWords(seed, STREAM.holdOut));
}

export interface AugmentationOptions {
  /** Largest shift in pixels, in each direction; 0 for none. */
  crop: number;
  /** Mirror left and right with probability 1/2. */
  flip: boolean;
}

export interface Augmentation {
  /** In -crop .. crop. The output pixel (y, x) is the input pixel (y + dy, x + dx), 0 (black) outside the image. */
  dx: number;
  dy: number;
  /** Mirror the shifted image: x becomes W - 1 - x in the output. */
  flip: boolean;
}

/** How sample `sampleIndex` is moved in epoch `epoch`: the usual pad-and-crop by `crop` pixels, and a flip. */
export function augmentation(
  seed: number,
  epoch: number,
  sampleIndex: number,
  options: AugmentationOptions,
): Augmentation {
  const word = randomWords(seed, STREAM.augmentation, epoch, sampleIndex);
  const shift = () => uniformBelow(2 * options.crop + 1, word) - options.crop;
  // Always three draws, so that turning the crop off does not change which samples are mirrored.
  const flip = (word() & 1) === 1 && options.flip;
  const dx = shift();
  const dy = shift();
  return { dx, dy, flip };
}

/** Cuts `order` into views of `batch` indices; the last may be shorter, unless `dropLast`. */
export function* batches(size: number, batch: number, order?: Uint32Array, dropLast = false): Generator<Uint32Array> {
  if (!(Number.isInteger(batch) && batch > 0)) throw new RangeError(`batches: a batch of ${batch}`);
  const indices = order ?? Uint32Array.from({ length: size }, (_, index) => index);
  const end = dropLast ? size - (size % batch) : size;
  for (let start = 0; start < end; start += batch) yield indices.subarray(start, Math.min(start + batch, end));
}
