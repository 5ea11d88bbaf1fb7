import type { Dataset } from './dataset.ts';
import { checkedIndex } from './dataset.ts';
import { permutation } from './shuffle.ts';

/** The samples at `indices`, in that order. */
export function subset(dataset: Dataset, indices: ArrayLike<number>): Dataset {
  const chosen = Uint32Array.from(indices, (index) => checkedIndex(index, dataset.size));
  return {
    ...dataset,
    size: chosen.length,
    read(wanted, out, labels) {
      const mapped = Uint32Array.from(wanted, (index) => chosen[checkedIndex(index, chosen.length)]!);
      return dataset.read(mapped, out, labels);
    },
  };
}

/** The first `count` samples, or all where there are fewer. */
export function takeFirst(dataset: Dataset, count: number): Dataset {
  if (count >= dataset.size) return dataset;
  return subset(
    dataset,
    Uint32Array.from({ length: count }, (_, index) => index),
  );
}

/**
 * Divides a training set in two by seed: `validation` gets `count` samples chosen at random, `train` the rest. Both keep
 * the order of the file, so that the same seed gives the same two sets whatever is shuffled later.
 */
export function holdOut(dataset: Dataset, count: number, seed: number): { train: Dataset; validation: Dataset } {
  if (!(Number.isInteger(count) && count >= 0 && count <= dataset.size)) {
    throw new RangeError(`holdOut: ${count} of ${dataset.size} samples`);
  }
  const order = permutation(dataset.size, seed);
  return {
    train: subset(dataset, order.slice(count).sort()),
    validation: subset(dataset, order.slice(0, count).sort()),
  };
}

/** The same samples with `offset` added to every label, for models whose first outputs mean something else. */
export function withLabelOffset(dataset: Dataset, offset: number): Dataset {
  if (offset === 0) return dataset;
  const shift = (labels: Uint32Array, count: number) => {
    for (let i = 0; i < count; i++) labels[i] = labels[i]! + offset;
  };
  const { classNames, ...rest } = dataset;
  return {
    ...rest,
    ...(classNames && { classNames: [...Array.from({ length: offset }, () => ''), ...classNames] }),
    classes: dataset.classes + offset,
    read(indices, out, labels) {
      const pending = dataset.read(indices, out, labels);
      if (pending) return pending.then(() => shift(labels, indices.length));
      shift(labels, indices.length);
    },
  };
}
