import { allocateSamples, type Dataset, sampleLength } from './data/dataset.ts';
import { type AugmentationOptions, augmentation, epochOrder } from './data/shuffle.ts';

/** One batch on the host, raw pixels as the data set holds them. */
export interface Batch {
  /** Samples in use; the arrays are as long as the compiled batch. */
  count: number;
  samples: Uint8Array | Float32Array;
  labels: Uint32Array;
  /** Per sample: shift in x, shift in y, mirrored (0 or 1), unused. */
  moves: Int32Array;
}

export interface FeedOptions {
  batch: number;
  seed: number;
  /** Added to every label, for models with outputs before the first class. */
  labelOffset?: number;
  augment?: AugmentationOptions;
}

/** Steps that visit every sample `epochs` times (the last step may run into the next epoch). */
export function stepsFor(dataset: Dataset, batch: number, epochs: number): number {
  return Math.max(1, Math.ceil((epochs * dataset.size) / batch));
}

/**
 * The batch of training step `step`, a pure function of the options and the step: a resumed run sees what the unbroken
 * one saw. Samples come as one endless stream of shuffled epochs, cut into batches that are all full: a short batch at
 * the end of each epoch would spoil batch statistics.
 */
export class TrainingFeed {
  readonly #dataset: Dataset;
  readonly #options: FeedOptions;
  readonly #orders = new Map<number, Uint32Array>();
  #next: { step: number; batch: Promise<Batch> } | undefined;
  // Two sets, so that one is filled while the other is being uploaded.
  readonly #buffers: Batch[];

  constructor(dataset: Dataset, options: FeedOptions) {
    this.#dataset = dataset;
    this.#options = options;
    this.#buffers = [0, 1].map(() => emptyBatch(dataset, options.batch));
  }

  /** Valid until the call after the next. */
  async at(step: number): Promise<Batch> {
    const batch = await (this.#next?.step === step ? this.#next.batch : this.#read(step));
    // Decoding images of the next batch overlaps with the GPU's work on this one.
    const following = this.#read(step + 1);
    following.catch(() => undefined); // reported when it is asked for
    this.#next = { step: step + 1, batch: following };
    return batch;
  }

  async #read(step: number): Promise<Batch> {
    const { batch, seed, augment, labelOffset = 0 } = this.#options;
    const { size } = this.#dataset;
    const target = this.#buffers[step % 2];
    target.moves.fill(0);
    const indices = new Uint32Array(batch);
    for (let i = 0; i < batch; i++) {
      const position = step * batch + i;
      const epoch = Math.floor(position / size);
      const index = this.#order(epoch)[position % size];
      indices[i] = index;
      if (augment && (augment.crop > 0 || augment.flip)) {
        const { dx, dy, flip } = augmentation(seed, epoch, index, augment);
        target.moves.set([dx, dy, flip ? 1 : 0], 4 * i);
      }
    }
    await fill(target, this.#dataset, indices, labelOffset);
    return target;
  }

  #order(epoch: number): Uint32Array {
    let order = this.#orders.get(epoch);
    if (!order) {
      order = epochOrder(this.#dataset.size, this.#options.seed, epoch);
      for (const known of this.#orders.keys()) if (known < epoch - 1) this.#orders.delete(known);
      this.#orders.set(epoch, order);
    }
    return order;
  }
}

/** The samples in their own order, once: for evaluation and calibration. */
export async function* sequentialBatches(dataset: Dataset, batch: number, labelOffset = 0): AsyncGenerator<Batch> {
  const buffers = [0, 1].map(() => emptyBatch(dataset, batch));
  for (let start = 0, turn = 0; start < dataset.size; start += batch, turn++) {
    const target = buffers[turn % 2];
    const indices = Uint32Array.from({ length: Math.min(batch, dataset.size - start) }, (_, i) => start + i);
    await fill(target, dataset, indices, labelOffset);
    yield target;
  }
}

function emptyBatch(dataset: Dataset, batch: number): Batch {
  return {
    count: 0,
    samples: allocateSamples(dataset, batch),
    labels: new Uint32Array(batch),
    moves: new Int32Array(4 * batch),
  };
}

async function fill(target: Batch, dataset: Dataset, indices: Uint32Array, labelOffset: number): Promise<void> {
  const length = sampleLength(dataset.sampleShape);
  const { samples, labels } = target;
  await dataset.read(indices, samples.subarray(0, indices.length * length), labels);
  // What is left of a longer batch before must not reach the statistics of a short one as garbage.
  samples.fill(0, indices.length * length);
  labels.fill(0, indices.length);
  if (labelOffset) for (let i = 0; i < indices.length; i++) labels[i] += labelOffset;
  target.count = indices.length;
}
