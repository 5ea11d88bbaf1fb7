import { InputError } from '../../graph/errors.ts';
import type { Dataset } from './dataset.ts';
import { checkedIndex, sampleLength } from './dataset.ts';
import { imageGeometry } from './geometry.ts';
import type { Preprocess } from './preprocess.ts';
import { resample } from './resample.ts';

/** Resizes and crops the images of a dataset that has them in memory (MNIST, CIFAR, arrays of bytes). */
export function resizedDataset(dataset: Dataset, spec: Pick<Preprocess, 'resize' | 'crop'>): Dataset {
  if (!spec.resize && spec.crop === undefined) return dataset;
  const [channels, height, width] = dataset.sampleShape as [number, number, number];
  if (dataset.kind !== 'uint8' || dataset.sampleShape.length !== 3) {
    throw new InputError(`${dataset.name}: resize and crop need images of bytes, not ${dataset.kind} samples.`);
  }
  const geometry = imageGeometry(dataset.name, width, height, spec);
  const sampleShape = [channels, geometry.crop.height, geometry.crop.width];
  const source = sampleLength(dataset.sampleShape);
  const target = sampleLength(sampleShape);
  const resize = (raw: Uint8Array, count: number, out: Uint8Array | Float32Array) => {
    for (let i = 0; i < count; i++) {
      out.set(resample(raw.subarray(i * source, (i + 1) * source), width, height, geometry), i * target);
    }
  };
  return {
    ...dataset,
    sampleShape,
    read(indices, out, labels) {
      for (let i = 0; i < indices.length; i++) checkedIndex(indices[i]!, dataset.size);
      const raw = new Uint8Array(indices.length * source);
      const pending = dataset.read(indices, raw, labels);
      if (pending) return pending.then(() => resize(raw, indices.length, out));
      resize(raw, indices.length, out);
    },
  };
}
