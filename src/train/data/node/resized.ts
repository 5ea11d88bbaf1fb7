import { InputError } from '../../../graph/errors.ts';
import type { Dataset } from '../dataset.ts';
import { checkedIndex, sampleLength } from '../dataset.ts';
import { imageGeometry } from '../geometry.ts';
import type { ImageSpec } from './image.ts';
import { fitImage, transposeBytes } from './image.ts';

/** Resizes and crops the images of a dataset that has them in memory (MNIST, CIFAR, arrays of bytes). */
export function resizedDataset(dataset: Dataset, spec: ImageSpec): Dataset {
  if (!spec.resize && spec.crop === undefined) return dataset;
  const [channels, height, width] = dataset.sampleShape;
  if (dataset.kind !== 'uint8' || dataset.sampleShape.length !== 3 || (channels !== 1 && channels !== 3)) {
    throw new InputError(`${dataset.name}: resize and crop need images of bytes with 1 or 3 channels.`);
  }
  const geometry = imageGeometry(width!, height!, spec);
  if (!geometry) throw new InputError(`${dataset.name}: crop ${spec.crop} is larger than the images after the resize.`);
  const sampleShape = [channels, geometry.crop.height, geometry.crop.width];
  const target = sampleLength(sampleShape);
  const source = sampleLength(dataset.sampleShape);
  const plane = width! * height!;
  return {
    ...dataset,
    sampleShape,
    async read(indices, out, labels) {
      const raw = new Uint8Array(source);
      const label = new Uint32Array(1);
      for (let i = 0; i < indices.length; i++) {
        await dataset.read([checkedIndex(indices[i]!, dataset.size)], raw, label);
        const data = transposeBytes(raw, channels, plane);
        const fitted = await fitImage(dataset.name, { channels, width: width!, height: height!, data }, spec);
        out.set(transposeBytes(fitted.data, fitted.width * fitted.height, channels), i * target);
        labels[i] = label[0]!;
      }
    },
  };
}
