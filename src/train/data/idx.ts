/**
 * MNIST's IDX files: big-endian magic 00 00 08 r (unsigned bytes, rank r), r lengths of 32 bits, then the bytes.
 * Source: LeCun, Cortes, Burges, "The MNIST database", file formats.
 */
import { InputError } from '../../graph/errors.ts';
import { type Dataset, memoryDataset } from './dataset.ts';

export interface IdxArray {
  shape: number[];
  /** A view of the file's bytes. */
  data: Uint8Array;
}

/** Bytes before the data. */
export const idxHeaderBytes = (rank: number): number => 4 + 4 * rank;

/** Length of the whole file as its header claims. Lengths of 32 bits may overflow a double's integers, but stay far above any file then. */
export function idxClaim(file: string, header: Uint8Array, rank: number): number {
  return idxShape(file, header, rank).reduce((product, length) => product * length, 1) + idxHeaderBytes(rank);
}

/** Checks a header against the rank that is wanted, and gives the lengths. */
function idxShape(file: string, header: Uint8Array, rank: number): number[] {
  if (header.length < idxHeaderBytes(rank)) throw new InputError(`${file}: is too short to be an IDX file.`);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const magic = view.getUint32(0);
  if (magic !== 0x0800 + rank) {
    const found = `0x${magic.toString(16).padStart(8, '0')}`;
    throw new InputError(`${file}: the magic number is ${found}, not 0x0000080${rank} (unsigned bytes, rank ${rank}).`);
  }
  return Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
}

/** @throws InputError where header and length of the content do not agree */
export function parseIdx(file: string, content: Uint8Array, rank: number): IdxArray {
  const shape = idxShape(file, content, rank);
  const expected = idxClaim(file, content, rank);
  if (content.length !== expected) {
    const fault = content.length < expected ? 'is truncated' : 'goes on after its end';
    throw new InputError(
      `${file}: ${fault}: the header claims ${shape.join(' x ')} bytes of data, ${content.length - idxHeaderBytes(rank)} follow.`,
    );
  }
  return { shape, data: content.subarray(idxHeaderBytes(rank)) };
}

/** Images (rank 3) and their labels (rank 1), each with the name of its file. */
export function idxDataset(
  images: IdxArray & { file: string },
  labels: IdxArray & { file: string },
  split: string,
): Dataset {
  const [count, height, width] = images.shape as [number, number, number];
  if (labels.shape[0] !== count) {
    throw new InputError(`${labels.file}: holds ${labels.shape[0]} labels, but ${images.file} holds ${count} images.`);
  }
  if (count === 0 || height === 0 || width === 0) {
    throw new InputError(`${images.file}: holds no pixels (${images.shape}).`);
  }
  return memoryDataset({
    name: images.file,
    split,
    sampleShape: [1, height, width],
    classes: labels.data.reduce((most, label) => Math.max(most, label), 0) + 1,
    samples: images.data,
    labels: labels.data,
  });
}
